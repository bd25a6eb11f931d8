// node faces.mjs FOLDER COUNT: prints JSON with COUNT different faces of every kind and hair colour, as SVG.
// FOLDER is where @dicebear/core and @dicebear/pixel-art are installed; make.py calls this.
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [folder, count] = process.argv.slice(2);
const library = name => import(pathToFileURL(path.resolve(folder, 'node_modules/@dicebear', name, 'lib/index.js')));
const { createAvatar } = await library('core');
const pixelArt = await library('pixel-art');

const { hair, glasses } = pixelArt.schema.properties;
const short = hair.default.filter(cut => cut.startsWith('short'));
const long = hair.default.filter(cut => cut.startsWith('long'));
const none = { hatProbability: 0, glassesProbability: 0, beardProbability: 0, accessoriesProbability: 0 };
const plain = { hairProbability: 100, ...none };
const kinds = {
  'short hair': { ...plain, hair: short },
  'long hair': { ...plain, hair: long },
  'hat': { ...plain, hair: hair.default, hatProbability: 100 },
  'glasses': { ...plain, hair: hair.default, glassesProbability: 100, glasses: glasses.default },
  'beard': { ...plain, hair: short, beardProbability: 100 },
};
const hairs = {
  black: ['28150a'], brown: ['603a14', '612616', '603015'], blond: ['cab188', 'd8b45a'],
  red: ['bd1700'], blue: ['009bbd'], green: ['91cb15'],
};

const faces = [];
const seen = new Set();
for (const [kind, [name, options]] of Object.entries(kinds).entries()) {
  for (const [colour, [word, hairColor]] of Object.entries(hairs).entries()) {
    for (let seed = 0, made = 0; made < Number(count); seed++) {
      const avatar = createAvatar(pixelArt, { seed: `${name}/${word}/${seed}`, ...options, hairColor });
      const svg = avatar.toString().replace(/<metadata.*?<\/metadata>/s, '');
      if (seen.has(svg)) continue; // two seeds may draw the same face
      seen.add(svg);
      made++;
      faces.push({ svg, kind, hair: colour });
    }
  }
}
process.stdout.write(JSON.stringify({ kinds: Object.keys(kinds), hairs: Object.keys(hairs), faces }));

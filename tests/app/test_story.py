"""What the article and the lab show is what was recorded, and what the paper says."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from app.pages.parts import source
from app.server.examples import FIGURES, FOLDER, STORY
from nar_core.files import bytes_of, read_png, text_of
from nar_core.measure.judge import interval
from nar_core.measure.starts import summary
from nar_core.measure.suite import SUITES, Row, table
from nar_core.plan import GridShape
from nar_core.weights.list import official_models

TOLD = json.loads((STORY / "story.json").read_text("utf-8"))


@pytest.mark.parametrize("name", TOLD["growths"])
def test_what_is_told_of_a_growth_is_what_its_file_says(name):
    told = TOLD["growths"][name]
    recipe, frames = read_png(FOLDER.parent / told["pictures"][0])
    assert told["tokens"] == text_of(recipe.tokens.astype("<u2"))
    assert told["order"] == text_of(recipe.steps.astype("<u2"))
    assert told["request"] == recipe.request
    assert told["total"] == recipe.total
    assert all((FOLDER.parent / file).is_file() for file in told["sheets"] or ())
    assert len(frames) == told["spec"]["frames"]


def test_the_cell_that_is_explained_is_one_of_the_growth():
    explained, centre = TOLD["explained"], TOLD["growths"]["centre"]
    at = int(np.ravel_multi_index(explained["cell"], centre["spec"]["grid"]))
    tokens = np.frombuffer(bytes_of(centre["tokens"], "tokens", "record again", 10**6), "<u2")
    assert explained["token"] == tokens[at]
    assert len(explained["heads"]) == 2
    assert np.sum(explained["attention"]) + explained["attention_to_condition"] == pytest.approx(
        1, abs=0.01
    )


def test_recorded_growths_are_small():
    assert sum(file.stat().st_size for file in STORY.iterdir()) < 500_000


def rows(page: str, table: str = "") -> dict[str, list[float]]:
    """Numbers of the rows of a table whose caption begins so, by the rows' titles."""
    found = re.findall(rf"<caption>{table}.*?</table>", source(f"html/{page}.html"), re.S)
    told = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', "".join(found), re.S)
    return {
        title: [float(x) for x in re.findall(r"<td>(?:<b>)?(.*?)(?:</b>)?</td>", cells)]
        for title, cells in told
    }


def test_tables_say_what_the_registry_knows_of_the_paper():
    published = {name: model.published for name, model in official_models().items()}
    article = rows("article", "ImageNet")
    for i, size in enumerate(("B", "M", "L", "XL", "XXL")):
        known = published[f"NAR-{size}"]
        assert rows("evidence", "Table 1")[f"NAR-{size}"] == [
            known["fid"],
            known["images_per_second"],
        ]
        assert article["FID"][i] == known["fid"]
        assert article["images / s"][i] == known["images_per_second"]
    clips = rows("evidence", "Table 2")
    for size in ("L", "LP"):
        known = published[f"NAR-{size}-ucf101"]
        assert clips[f"NAR-{size}"] == [known["fvd"], known["steps"], known["seconds"]]
    known = published["NAR-XL-t2i-512"]
    assert rows("evidence", "Table 3")["NAR-XL"] == [known["geneval"], known["images_per_second"]]
    both = [published["NAR-L"]["fid"], published["NAR-L"]["inception_score"]]
    assert rows("evidence", "Table 5")["both, averaged"] == both
    assert rows("article", "Which head")["both, averaged"] == both
    assert rows("article", "The same") == rows("evidence", "Table 4")


def test_the_map_of_starts_is_what_its_rounds_say():
    shown = json.loads((FIGURES / "starts.json").read_text("utf-8"))
    again = summary(shown, GridShape(*shown["grid"]))
    assert {k: shown[k] for k in again} == again
    assert shown["command"].startswith("python -m nar_core evaluate --model emoji --seed-map")
    assert shown["command"].endswith(f"--every 1 --count {shown['prompts']}")


def test_what_each_head_alone_makes_is_told_of_enough_growths():
    shown = json.loads((FIGURES / "heads.json").read_text("utf-8"))
    assert shown["prompts"] >= 256
    assert len(shown["rng_seeds"]) == 3
    told = shown["configurations"]
    assert [c["heads"] for c in told] == ["horizontal", "vertical", "mixed"]  # as in Table 5
    assert {c["seed_position"] for c in told} == {"corner"}
    of = shown["prompts"] * len(shown["rng_seeds"])
    for found in told:
        low, high = interval(round(found["right"] * of), of)
        assert (found["low"], found["high"]) == (round(low, 4), round(high, 4))
    assert shown["command"] == (
        "python -m nar_core evaluate --model emoji --world 256 --rng-seeds 3 "
        "--seed-position corner --heads horizontal vertical mixed --figures heads.json"
    )
    assert told[2]["loss"] < min(told[0]["loss"], told[1]["loss"])


@pytest.mark.parametrize(("name", "suite"), [("speed", "cpu"), ("speed-gpu", "gpu")])
def test_the_charts_of_speed_are_what_suites_have_told(name, suite):
    shown = json.loads((FIGURES / f"{name}.json").read_text("utf-8"))
    plain = [{k: v for k, v in row.items() if k != "ratio"} for row in shown["rows"]]
    assert table([Row(**{**row, "grid": tuple(row["grid"])}) for row in plain]) == shown["rows"]
    assert [(row["model"], row["batch"], row["way"]) for row in plain] == [
        (case.model, case.batch, way) for case in SUITES[suite] for way in case.ways
    ]
    assert shown["command"] == f"python -m nar_core bench --suite {suite} --figures {name}.json"

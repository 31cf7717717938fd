"""Plans: arms, labels, trials, and every conflict found before anything is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate import planning
from ablate.domains.base import Domain
from ablate.errors import RecipeError
from ablate.estimate import estimate
from ablate.planning import Plan, make_plan
from ablate.plugins import hookimpl
from ablate.recipe import ModelConfig, Recipe, load_recipe
from ablate.types import Sampling
from tests import stand_ins

RECIPES = Path(__file__).parent.parent / "recipes"
INSTALLED = stand_ins.available()

A: dict[str, Any] = {"loader": {"bits": 4}}
B: dict[str, Any] = {"speculator": {}}
C: dict[str, Any] = {"set": {"sampling.max_tokens": 64}}


def recipe(**keys: Any) -> Recipe:
    return Recipe(
        **{"name": "test", "model": ModelConfig("some/model"), "domains": {"count": {}}, **keys}
    )


def plan(**keys: Any) -> Plan:
    return make_plan(recipe(**keys), INSTALLED)


def ids(**keys: Any) -> list[str]:
    return [arm.info.id for arm in plan(floor=False, **keys).arms]


def refusal(**keys: Any) -> str:
    with pytest.raises(RecipeError) as caught:
        plan(**keys)
    return "\n".join(caught.value.problems)


THREE = {"w": (A,), "d": (B,), "t": (C,)}


class TestDesigns:
    def test_factorial(self) -> None:
        made = ids(factors=THREE)
        assert made[0] == "baseline"
        assert len(set(made)) == 8
        assert "loader+speculator+max_tokens64" in made

    def test_one_at_a_time(self) -> None:
        made = ids(factors=THREE, design="one-at-a-time")
        assert made == ["baseline", "loader", "speculator", "max_tokens64"]

    def test_leave_one_out(self) -> None:
        assert ids(factors=THREE, design="leave-one-out") == [
            "baseline",
            "loader+speculator+max_tokens64",
            "speculator+max_tokens64",
            "loader+max_tokens64",
            "loader+speculator",
        ]

    def test_leaving_out_the_only_factor_is_the_baseline(self) -> None:
        assert ids(factors={"w": (A,)}, design="leave-one-out") == ["baseline", "loader"]

    def test_cumulative(self) -> None:
        two = {"loader": {"bits": 3}}
        assert ids(factors={"w": (A, two), "d": (B,)}, design="cumulative") == [
            "baseline",
            "loader-bits4",
            "loader-bits3",
            "loader-bits4+speculator",
        ]

    def test_no_factors_is_the_baseline_and_its_noise(self) -> None:
        made = plan()
        assert [(a.info.id, a.info.replicate) for a in made.arms] == [
            ("baseline", 0),
            ("baseline-again", 1),
        ]
        assert made.arms[0].plugins == {}

    def test_a_factorial_that_explodes_is_refused(self) -> None:
        factors = {f"f{i}": ({"set": {"warmup": i + 5}},) for i in range(40)}
        assert "design: factorial makes 1099511627776 arms" in refusal(factors=factors)


class TestArms:
    def test_levels_name_the_options_that_differ(self) -> None:
        named = {"bits": 3, "name": "a/b c"}
        options: list[dict[str, Any]] = [{"bits": 3}, {}, named]
        levels = tuple({"loader": chosen} for chosen in options)
        assert ids(factors={"w": levels}) == [
            "baseline",
            "loader-bits3-name-x",
            "loader-bits4-name-x",
            "loader-bits3-name-b-c",
        ]

    def test_a_level_keeps_the_sign_of_a_number_and_leaves_out_what_is_empty(self) -> None:
        options: list[dict[str, Any]] = [{"name": ""}, {"name": "a"}]
        assert ids(factors={"w": tuple({"loader": chosen} for chosen in options)}) == [
            "baseline",
            "loader",
            "loader-name-a",
        ]
        levels = ({"set": {"domains.count.words": -1}}, {"set": {"domains.count.words": 1}})
        assert ids(factors={"w": levels}) == ["baseline", "words-1", "words1"]

    def test_a_setting_with_parts_is_told_by_its_name_and_what_differs(self) -> None:
        def named(*values: Any, key: str = "engine") -> list[str]:
            return ids(factors={"w": tuple({"set": {key: value}} for value in values)})[1:]

        one, two = ({"local": {"device": device}} for device in ("cuda:0", "cuda:1"))
        assert named(one, "server") == ["engine-local", "engine-server"]
        assert named(one, two) == ["engine-local-device-cuda-0", "engine-local-device-cuda-1"]
        slow, fast = ({"arrival": "poisson", "request_rate": rate} for rate in (4, 8))
        assert named(slow, key="workload") == ["workload-arrival-poisson"]
        assert named(slow, fast, key="workload") == [
            "workload-request_rate4",
            "workload-request_rate8",
        ]

    def test_levels_say_null_and_true_as_recipes_do(self) -> None:
        levels = ({"set": {"price": None}}, {"set": {"model.trust_remote_code": True}})
        made = ids(factors={"w": levels}, price=2.5)
        assert made == ["baseline", "price-null", "trust_remote_code-true"]

    def test_what_an_arm_says_of_itself(self) -> None:
        arm = plan(factors={"w": (A,), "t": (C,)}).arms[-1]
        assert arm.info.levels == {"w": "loader", "t": "max_tokens64"}
        assert arm.info.plugins == {"loader": {"bits": 4, "name": "x"}}
        assert arm.info.settings == {"sampling.max_tokens": 64}
        assert arm.plugins == {"loader": stand_ins.Loader(4)}

    def test_settings_reach_every_part(self) -> None:
        settings = {
            "model": "other/model",
            "domains.count.limit": 1,
            "engine": "server",
            "workload.concurrency": 2,
        }
        arm = plan(factors={"all": ({"set": settings},)}).arms[-1]
        assert arm.recipe.model == ModelConfig("other/model")
        assert arm.domains == {"count": stand_ins.Count(limit=1)}
        assert arm.engine == stand_ins.Server()
        assert arm.arrival.in_flight == 2

    def test_a_level_may_switch_on_and_set(self) -> None:
        arm = plan(factors={"both": ({**A, **C},)}).arms[-1]
        assert (arm.info.id, arm.recipe.sampling.max_tokens) == ("loader+max_tokens64", 64)

    def test_long_ids_are_cut_and_stay_unique(self) -> None:
        long = [{"set": {"workload.concurrency": 10**38 + i}} for i in range(2)]
        keys = (
            "warmup",
            "timeout",
            "sampling.max_tokens",
            "sampling.samples",
            "domains.count.seed",
        )
        others = {key: ({"set": {key: 10**25}},) for key in keys}
        made = ids(factors={"long": tuple(long), **others})
        assert max(map(len, made)) == 120
        assert len(set(made)) == len(made) == 3 * 2**5

    @given(
        st.lists(
            st.lists(
                st.builds(
                    lambda b, n: {"loader": {"bits": b, "name": n}},
                    st.integers(2, 9),
                    st.text(max_size=200),
                ),
                min_size=1,
                max_size=4,
                unique_by=str,
            ),
            min_size=1,
            max_size=3,
        ),
        st.sampled_from(["one-at-a-time", "factorial"]),
    )
    def test_ids_are_unique_and_safe(
        self, factors: list[list[dict[str, Any]]], design: str
    ) -> None:
        named = {f"f{i}": tuple(levels) for i, levels in enumerate(factors)}
        if design == "factorial":
            named = dict(list(named.items())[:1])
        made = ids(factors=named, design=design)
        assert len(set(made)) == len(made) == 1 + sum(map(len, named.values()))
        for name in made:
            assert len(name) <= 124
            assert not set(name) & set('/\\:*?"<>| \0\n')
            assert not name.startswith(".")

    def test_what_is_wrong_with_the_recipe_is_said_once(self) -> None:
        said = refusal(factors={"t": (C,)}, blocks=0)
        assert said == "blocks: must be at least 1, got 0"


class TestTrials:
    def test_every_arm_once_a_block_in_an_order_of_its_own(self) -> None:
        made = plan(factors={"w": (A,), "d": (B,)}, blocks=6)
        orders = [tuple(t.arm.info.id for t in made.trials if t.block == b) for b in range(6)]
        everyone = sorted(arm.info.id for arm in made.arms)
        assert all(sorted(order) == everyone for order in orders)
        assert len(set(orders)) > 1
        assert [t.block for t in made.trials] == sorted(t.block for t in made.trials)

    def test_the_seed_decides(self) -> None:
        def order(seed: int) -> list[str]:
            made = plan(factors={"w": (A,), "d": (B,)}, blocks=6, seed=seed)
            return [t.arm.info.id for t in made.trials]

        assert order(1) == order(1) != order(2)


class TestProblems:
    @pytest.mark.parametrize(
        ("keys", "message"),
        [
            (
                {"factors": {"w": ({"lodaer": {}},)}},
                "there is no plugin 'lodaer'. Did you mean 'loader'?",
            ),
            (
                {"factors": {"w": ({"broken": {}},)}},
                "factors.w[0]: plugin 'broken' of shaky 0.3 is installed but cannot be loaded: "
                "ImportError: no luck",
            ),
            (
                {"factors": {"w": ({"loader": {"bit": 3}},)}},
                "factors.w[0].loader.bit: there is no such",
            ),
            (
                {"factors": {"w": ({"loader": {"bits": 1}},)}},
                "factors.w[0].loader: bits must be at least 2",
            ),
            (
                {"factors": {"w": (A, {"loader": {}})}},
                "factors.w[1]: is the same level as factors.w[0]",
            ),
            ({"factors": {"w": (A,), "v": (A,)}}, "factors 'w' and 'v' both switch on 'loader'"),
            (
                {"factors": {"a": (C,), "b": ({"set": {"sampling": {"max_tokens": 3}}},)}},
                "factors 'a' and 'b' both set sampling",
            ),
            (
                {"factors": {"w": ({"set": {"blocks": 9}},)}},
                "factors.w[0].set.blocks: is shared by all",
            ),
            (
                {"factors": {"w": ({"set": {"seed": 9}},)}},
                "factors.w[0].set.seed: is shared by all",
            ),
            (
                {"factors": {"w": ({"set": {"sampling.max_token": 9}},)}},
                "factors.w[0].set: sampling.max_token: there is no such key. Did you mean",
            ),
            ({"factors": {"w": ({"set": {"warmup": 4}},)}}, "factors.w[0].set: changes nothing"),
            (
                {"factors": {"w": ({"set": {"engine": "locl"}},)}},
                "there is no engine 'locl'. Did you mean",
            ),
            ({"engine": ("vllm", {})}, "engine: there is no engine 'vllm'. Known: local, server."),
            ({"engine": ("local", {"devise": 1})}, "engine.local.devise: there is no such key."),
            (
                {"domains": {"cuont": {}}},
                "domains: there is no domain 'cuont'. Did you mean 'count'?",
            ),
            ({"domains": {"count": {"limit": 0}}}, "domains.count: is empty"),
            (
                {"domains": {"count": {"limit": "x"}}},
                "domains.count.limit: must be a whole number or null",
            ),
            ({"domains": {"stray": {}}}, "its problems say that they are of domain 'count'"),
            (
                {"workload": {"arrival": "gama"}},
                "there is no arrival 'gama'. Did you mean 'gamma'?",
            ),
            ({"workload": {"arrival": "gamma"}}, "workload.request_rate: a value is needed"),
            ({"workload": {"concurrency": 0}}, "workload: concurrency must be at least 1"),
            ({"model": ModelConfig("./nowhere")}, "does not exist"),
            ({"blocks": 0}, "blocks: must be at least 1, got 0"),
            ({"design": "full"}, "design: must be one of factorial"),
            (
                {"factors": {"w": (A,), "v": ({"other": {}},)}},
                "arm loader+other: 'loader' and 'other' both supply ablate_load_model",
            ),
            (
                {"factors": {"w": (A,), "v": ({"other": {}},)}, "engine": ("server", {})},
                "arm loader+other: 'loader' and 'other' both set engine argument 'quantization.",
            ),
            (
                {"factors": {"d": (B,), "c": ({"one_way": {}},)}},
                "arm speculator+one_way: 'speculator' needs 'rollback', which 'one_way' takes away",
            ),
            (
                {"factors": {"d": (B,)}, "engine": ("server", {})},
                "arm speculator: 'speculator' does not support engine 'server'; it supports: local",
            ),
            ({"factors": {"d": ({"unfit": {}},)}}, "arm unfit: unfit: needs a flux capacitor"),
            (
                {"factors": {"d": ({"unfit": {}},)}},
                "needs 'logits', which engine 'local' does not offer",
            ),
        ],
    )
    def test_each(self, keys: dict[str, Any], message: str) -> None:
        assert message in refusal(**keys)

    def test_a_conflict_is_told_once(self) -> None:
        factors = {"w": (A,), "v": ({"other": {}},), "d": (B,)}
        told = refusal(factors=factors).splitlines()
        assert len(told) == 1
        assert told[0].startswith("arm loader+other and 1 more: ")

    def test_all_at_once(self) -> None:
        told = refusal(
            domains={"nope": {}, "count": {"limit": 0}},
            engine=("nope", {}),
            workload={"arrival": "nope"},
            factors={"w": ({"nope": {}},), "t": ({"set": {"nope": 1}},)},
            model=ModelConfig("./nope"),
            blocks=0,
        )
        for place in ("domains: ", "domains.count: ", "engine: ", "workload: ", "factors.w[0]: "):
            assert place in told
        for place in ("factors.t[0].set: ", "model ", "blocks: "):
            assert place in told

    def test_a_trace_that_is_too_short(self, tmp_path: Path) -> None:
        trace = tmp_path / "trace.csv"
        trace.write_text("time\n1\n2\n")
        told = refusal(workload={"arrival": "trace", "path": str(trace)})
        assert f"workload: {trace} has 2 arrivals, and a trial needs" in told

    def test_a_domain_that_cannot_be_loaded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def gone(_: Domain) -> Any:
            raise OSError("the data moved")

        monkeypatch.setattr(stand_ins.Count, "problems", gone)
        assert "domains.count: cannot be loaded: OSError: the data moved" in refusal(
            domains={"count": {"limit": 12345}}
        )

    def test_a_hook_that_raises(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fails(self: object, engine: str) -> Any:
            raise KeyError("oops")

        monkeypatch.setattr(stand_ins.Unfit, "ablate_requirements", hookimpl(fails))
        assert "a plugin failed while planning: KeyError" in refusal(
            factors={"d": ({"unfit": {}},)}
        )


class TestEstimate:
    def test_counts(self) -> None:
        made = plan(
            factors={"t": (C,)}, blocks=2, sampling=Sampling(samples=3, max_tokens=100), floor=True
        )
        sizes = estimate(made)
        assert sizes.requests_per_trial == {"baseline": 9, "baseline-again": 9, "max_tokens64": 9}
        assert sizes.requests == 54
        assert sizes.most_output_tokens == 18 * (100 + 100 + 64)
        assert sizes.expected_output_tokens is None

    def test_expects_answers_as_long_as_the_worked_ones(self, tmp_path: Path) -> None:
        from tokenizers import Tokenizer, models, pre_tokenizers

        tokenizer = Tokenizer(models.WordLevel({"a": 0, "?": 1}, unk_token="?"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer.save(str(tmp_path / "tokenizer.json"))
        (tmp_path / "config.json").write_text("{}")
        (tmp_path / "model.safetensors").write_bytes(b"")
        made = plan(
            model=ModelConfig(str(tmp_path)),
            domains={"count": {"limit": 2, "words": 5}},
            factors={"t": ({"set": {"sampling.max_tokens": 4}},)},
            floor=False,
            blocks=1,
        )
        assert estimate(made).expected_output_tokens == 2 * (5 + 1) + 2 * 4


PUBLISHED = sorted(RECIPES.glob("study/*.published.yaml"))
SHIPPED = sorted({*RECIPES.glob("**/*.yaml")} - {*PUBLISHED})


@pytest.mark.parametrize("file", PUBLISHED, ids=lambda f: f.name)
def test_the_published_setting_is_one_file_away(file: Path) -> None:
    study = file.with_name(file.name.replace(".published", ""))
    made = load_recipe(study, [f"@{file}"])
    assert made.engine[0] == "vllm"
    assert made.model.id.startswith("deepseek-ai/")
    assert {"gsm8k", "math500", "aime24", "gpqa"} == {*made.domains}
    assert (made.sampling.temperature, made.sampling.max_tokens) == (0.6, 20480)
    done = subprocess.run(
        [sys.executable, "-m", "ablate", "plan", str(study), f"@{file}"],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    # What stands in its way here: data to be fetched, and engines and quantizers to be installed.
    outside = ("is not installed", "HF_HUB_OFFLINE", "ablate-inference[")
    first, *problems = done.stderr.strip().splitlines()
    assert done.returncode == 2
    assert "Traceback" not in first
    assert all(any(words in problem for words in outside) for problem in problems)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda f: f.name)
def test_every_shipped_recipe_can_be_planned(file: Path) -> None:
    recipe = load_recipe(file)
    assert recipe.name == file.stem
    try:
        made = make_plan(recipe)
    except RecipeError as error:
        # All that may stand in the way is an extra that this environment does without.
        if not all("ablate-inference[" in problem for problem in error.problems):
            raise
    else:
        twins = sum(bool(arm.info.offline_of) for arm in made.arms)
        arms = dict.fromkeys(range(recipe.blocks), len(made.arms) - twins)
        assert Counter(t.block for t in made.trials) == Counter(arms) + Counter({0: twins})


def test_one_place_for_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "installed", stand_ins.available)
    assert make_plan(replace(recipe(), blocks=1)).trials

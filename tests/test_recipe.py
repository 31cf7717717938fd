"""Recipes: what is read from a file and overrides, and what users are told when it is wrong."""

from __future__ import annotations

import json
import math
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.errors import RecipeError
from ablate.models import ModelConfig, resolve_model, shipped
from ablate.options import build, describe
from ablate.recipe import Recipe, load_recipe, resolved_yaml
from ablate.schema import reference
from ablate.types import Claim, Sampling
from tests.conftest import WriteRecipe

ROOT = Path(__file__).parent.parent
SMALL = "model: some/model\ndomains: [logic]\n"


def problems_of(file: Path, *overrides: str) -> tuple[str, ...]:
    with pytest.raises(RecipeError) as caught:
        load_recipe(file, overrides)
    return caught.value.problems


class TestReading:
    def test_short_forms_and_defaults(self, write_recipe: WriteRecipe) -> None:
        recipe = load_recipe(write_recipe(SMALL + "factors: {weights: [awq, {gptq: {bits: 3}}]}"))
        assert recipe.name == "recipe"
        assert recipe.model == ModelConfig("some/model")
        assert recipe.domains == {"logic": {}}
        assert recipe.engine == ("local", {})
        assert recipe.workload == {"arrival": "batch"}
        assert recipe.factors == {"weights": ({"awq": {}}, {"gptq": {"bits": 3}})}

    def test_long_forms(self, write_recipe: WriteRecipe) -> None:
        text = """
            name: long
            model: {id: a/b, revision: main, dtype: float32}
            engine: {local: {device: cuda}}
            domains: {logic: {limit: 3}, arithmetic: }
            sampling: {temperature: 0.6, samples: 2}
            slo: {ttft: 200ms, tpot: 0.05, e2e_latency: 1.5s}
            timeout: 2min
        """
        recipe = load_recipe(write_recipe(text))
        assert recipe.model == ModelConfig("a/b", "main", "float32")
        assert recipe.engine == ("local", {"device": "cuda"})
        assert recipe.domains == {"logic": {"limit": 3}, "arithmetic": {}}
        assert recipe.sampling == Sampling(temperature=0.6, samples=2)
        assert recipe.slo == {"ttft": 0.2, "tpot": 0.05, "e2e_latency": 1.5}
        assert recipe.timeout == 120

    def test_a_protocol_says_how_tokens_are_drawn(self, write_recipe: WriteRecipe) -> None:
        file = write_recipe(SMALL + "protocol: reasoning\nsampling: {max_tokens: 100}\n")
        recipe = load_recipe(file)
        assert recipe.sampling == Sampling(temperature=0.6, top_p=0.95, max_tokens=100)
        harness = load_recipe(file, ["protocol=lm_eval", "sampling.top_p=0.9"])
        assert harness.sampling == Sampling(top_p=0.9, max_tokens=100)
        copy = write_recipe(resolved_yaml(harness))
        assert load_recipe(copy) == harness
        (problem,) = problems_of(file, "protocol=reason")
        assert problem.startswith("protocol: must be one of 'reasoning', 'lm_eval'")

    def test_overrides_reach_every_place(self, write_recipe: WriteRecipe) -> None:
        text = SMALL + "factors: {w: [{awq: {bits: 4}}], t: [{set: {sampling.max_tokens: 9}}]}"
        recipe = load_recipe(
            write_recipe(text),
            [
                "model.dtype=bfloat16",
                "engine.local.device=cpu",
                "domains.arithmetic.limit=8",
                "workload={arrival: gamma, request_rate: 2}",
                "factors.w[0].awq.bits=3",
                "factors.w[1]={awq: {bits: 2}}",
                "factors.t[0].set.sampling.max_tokens=7",
                "sampling.temperature=1e-1",
                "name=a-b",
            ],
        )
        assert recipe.model == ModelConfig("some/model", dtype="bfloat16")
        assert recipe.engine == ("local", {"device": "cpu"})
        assert recipe.domains == {"logic": {}, "arithmetic": {"limit": 8}}
        assert recipe.workload == {"arrival": "gamma", "request_rate": 2}
        assert recipe.factors["w"] == ({"awq": {"bits": 3}}, {"awq": {"bits": 2}})
        assert recipe.factors["t"] == ({"set": {"sampling.max_tokens": 7}},)
        assert recipe.sampling.temperature == 0.1
        assert recipe.name == "a-b"

    def test_a_file_of_overrides(self, write_recipe: WriteRecipe, tmp_path: Path) -> None:
        file = write_recipe(SMALL)
        more = tmp_path / "more.yaml"
        more.write_text("sampling.max_tokens: 7\ndomains: {code: {limit: 3}}\nblocks: 2\n")
        recipe = load_recipe(file, [f"@{more}", "blocks=4"])
        assert recipe.sampling.max_tokens == 7
        assert recipe.domains == {"code": {"limit": 3}}
        assert recipe.blocks == 4
        assert problems_of(file, "@nowhere.yaml") == (
            "override '@nowhere.yaml': nowhere.yaml does not exist",
        )

    def test_environment(self, write_recipe: WriteRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ABLATE_TEST_MODEL", "org/big")
        monkeypatch.delenv("ABLATE_TEST_TOKENS", raising=False)
        text = """
            model: ${oc.env:ABLATE_TEST_MODEL}
            domains: [logic]
            sampling: {max_tokens: "${oc.env:ABLATE_TEST_TOKENS,77}"}
            blocks: ${sampling.max_tokens}
        """
        recipe = load_recipe(write_recipe(text))
        assert recipe.model.id == "org/big"
        assert (recipe.sampling.max_tokens, recipe.blocks) == (77, 77)

    def test_paths_start_from_the_recipe(self, write_recipe: WriteRecipe, tmp_path: Path) -> None:
        (tmp_path / "beside").mkdir()
        text = """
            model: ./big
            domains: {logic: {file: ../data.jsonl}, jsonl: {path: data.jsonl}}
            factors:
              decode: [{draft: {model: beside}}, {draft: {model: org/small}}]
              size: [{set: {model: ./other}}]
        """
        recipe = load_recipe(write_recipe(text))
        assert recipe.model.id == str(tmp_path / "big")
        assert recipe.domains["logic"]["file"] == str(tmp_path.parent / "data.jsonl")
        assert recipe.domains["jsonl"]["path"] == str(tmp_path / "data.jsonl")
        drafts = [level["draft"]["model"] for level in recipe.factors["decode"]]
        assert drafts == [str(tmp_path / "beside"), "org/small"]
        assert recipe.factors["size"][0]["set"]["model"] == str(tmp_path / "other")


class TestMessages:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "is empty"),
            ("# only a comment\n", "is empty"),
            ("- a\n- b\n", "must be a mapping"),
            ("hello", "must be a mapping"),
            ("model: [\n", "recipe.yaml:2:1:"),
            (SMALL + "model: twice\n", "recipe.yaml:3:1: found duplicate key model"),
            ("model: !!python/object:os.system {}\n", "could not determine a constructor"),
            (SMALL + "model2: x", "model2: there is no such key. Did you mean 'model'?"),
            (SMALL + "sampling: {temprature: 1}", "Did you mean 'temperature'?"),
            (SMALL + "sampling: {max_tokens: many}", "must be a whole number, got 'many'"),
            (SMALL + "sampling: {max_tokens: 0}", "sampling.max_tokens: must be at least 1"),
            (SMALL + "sampling: {top_p: 1.5}", "sampling.top_p: must be above 0"),
            (SMALL + "sampling: 3", "sampling: must be a mapping"),
            (SMALL + "design: factoral", "Did you mean 'factorial'?"),
            (SMALL + "blocks: 0", "blocks: must be at least 1, got 0"),
            (SMALL + "slo: {ttft: soon}", "slo.ttft: must be seconds or a duration"),
            (SMALL + "slo: {ttfx: 1s}", "slo.ttfx: there is no such metric. Did you mean 'ttft'?"),
            (SMALL + "margins: {acuracy: 0.1}", "Did you mean 'accuracy'?"),
            (SMALL + "timeout: 0", "timeout: must be seconds or a duration"),
            (SMALL + "engine: {a: {}, b: {}}", "engine: must be one engine"),
            (SMALL + "name: ../x", "name: must be letters"),
            (SMALL + "factors: {w: awq}", "factors.w: must be a list"),
            (SMALL + "factors: {w: [off]}", "every factor has the level off"),
            (SMALL + "factors: {w: [{awq: 4}]}", "factors.w[0].awq: must be a mapping"),
            (SMALL + "factors: {w: [3]}", "factors.w[0]: must be a plugin"),
            (SMALL + "factors: {w: [{on: }]}", "the key True is no text; put it in quotes"),
            ("model: {id: a, dtype: int3}\ndomains: [x]", "model.dtype: must be one of auto"),
            ("model: x\ndomains: [a, a]", "domains: a is listed twice"),
            ("model: x\ndomains: {}", "at least one domain is needed"),
            ("domains: [logic]", "model: a value is needed and none is given"),
            ("model: ???\ndomains: [x]", "model: a value is needed in place of '???'"),
            (SMALL + "name: ${oc.env:ABLATE_UNSET}", "variable 'ABLATE_UNSET' is not set"),
            (SMALL + "name: ${nowhere}", "Interpolation key 'nowhere' not found"),
            (SMALL + "name: ${broken", "name: no viable alternative"),
        ],
    )
    def test_each(self, write_recipe: WriteRecipe, text: str, message: str) -> None:
        assert message in "\n".join(problems_of(write_recipe(text)))

    @pytest.mark.parametrize(
        ("override", "message"),
        [
            ("blocks", "must be key=value"),
            ("=3", "is no dotted key"),
            ("a..b=3", "is no dotted key"),
            ("domains.logic.limit.x={a: 1", "is no YAML value"),
            ("factors.w[5]=awq", "factors.w is a list of 1; '5' is no place in it"),
            ("factors.w.x=awq", "'x' is no place in it"),
            ("seed.x=1", "seed is 3, which has no key 'x'"),
            ("sede=1", "Did you mean 'seed'?"),
        ],
    )
    def test_overrides(self, write_recipe: WriteRecipe, override: str, message: str) -> None:
        file = write_recipe(SMALL + "seed: 3\nfactors: {w: [awq]}")
        assert message in "\n".join(problems_of(file, override))

    def test_all_at_once(self, write_recipe: WriteRecipe) -> None:
        text = "modell: x\ndomains: 3\nblocks: many\nfactors: {w: {}}\nslo: {ttft: x}"
        problems = problems_of(write_recipe(text), "nonsense")
        for word in (
            "nonsense",
            "modell",
            "model:",
            "domains:",
            "blocks:",
            "factors.w:",
            "slo.ttft",
        ):
            assert sum(p.startswith((word, f"override '{word}")) for p in problems) == 1

    def test_files_that_cannot_be_read(self, tmp_path: Path) -> None:
        assert "does not exist" in problems_of(tmp_path / "none.yaml")[0]
        assert "cannot be read" in problems_of(tmp_path)[0]
        (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
        assert "cannot be read" in problems_of(tmp_path / "binary.yaml")[0]


names = st.text("abcdefgh_", min_size=1, max_size=6)
# What a YAML file can hold: no other control characters, no surrogates; "???" stands for "missing".
texts = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=12)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts.filter(lambda t: t != "???" and not t.startswith(("./", "../", "~")))
    | st.sampled_from(["1e3", "null", "0x10", "12:30", "off", "${a}", "\\${b}", "2020-01-01", ""])
)
options = st.dictionaries(
    names.filter(lambda n: n != "model"),
    scalars | st.lists(scalars, max_size=3) | st.dictionaries(names, scalars, max_size=2),
    max_size=3,
)
recipes = st.builds(
    Recipe,
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,8}", fullmatch=True),
    model=st.builds(ModelConfig, id=st.from_regex(r"[a-z]{1,5}/[a-z0-9]{1,5}", fullmatch=True)),
    domains=st.dictionaries(names, options, min_size=1, max_size=2),
    engine=st.tuples(names, options),
    sampling=st.builds(Sampling, temperature=st.floats(0, 2), max_tokens=st.integers(1, 9999)),
    workload=options.map(lambda o: {"arrival": "batch", **o}),
    factors=st.dictionaries(
        names,
        st.lists(
            st.dictionaries(names, options, min_size=1, max_size=2), min_size=1, max_size=2
        ).map(tuple),
        max_size=2,
    ),
    design=st.sampled_from(["factorial", "cumulative"]),
    timeout=st.floats(1e-3, 1e6),
    floor=st.booleans(),
    margins=st.dictionaries(st.just("accuracy"), st.floats(0, 1)),
    slo=st.dictionaries(st.sampled_from(["ttft", "tpot"]), st.floats(1e-3, 10)),
)


@given(recipes)
def test_a_resolved_recipe_reads_back_equal(recipe: Recipe) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "resolved.yaml"
        file.write_text(resolved_yaml(recipe), encoding="utf-8")
        assert load_recipe(file) == recipe


@dataclass(frozen=True)
class Inner:
    x: int = 1


@dataclass(frozen=True)
class Component:
    """Options of every kind."""

    bits: int
    share: float = 0.5
    mode: Literal["fast", "exact"] = "fast"
    sizes: tuple[int, ...] = (1, 2)
    inner: Inner = field(default_factory=Inner)
    extra: dict[str, Any] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.bits > 8:
            raise ValueError("more than 8 bits save nothing")


class TestOptions:
    def test_builds(self) -> None:
        options = {"bits": "4", "share": 1, "sizes": [3], "inner": {"x": 2}, "extra": {"${": "a"}}
        built = Component(4, 1.0, "fast", (3,), Inner(2), {"${": "a"})
        assert build(Component, options, "here") == (built, [])

    def test_reports_every_problem(self) -> None:
        options: dict[str, object] = {
            "share": "x",
            "mode": "fats",
            "sizes": 3,
            "inner": {"y": 1},
            "bitz": 4,
        }
        options["shares"] = {"a": "x"}
        instance, problems = build(Component, options, "here")
        assert instance is None
        assert sorted(problems) == [
            "here.bits: a value is needed and none is given",
            "here.bitz: there is no such key. Did you mean 'bits'?",
            "here.inner.y: there is no such key. Known: x.",
            "here.mode: there is no choice 'fats'. Did you mean 'fast'?",
            "here.share: must be a number, got 'x'",
            "here.shares: must be a mapping (a number each), got {'a': 'x'}",
            "here.sizes: must be a list (a whole number each), got 3",
        ]

    def test_reports_what_the_component_refuses(self) -> None:
        assert build(Component, {"bits": 9}, "a.b") == (
            None,
            ["a.b: more than 8 bits save nothing"],
        )

    @given(st.dictionaries(names | st.integers(), scalars | st.lists(scalars)) | scalars)
    def test_never_raises(self, options: object) -> None:
        instance, problems = build(Component, options, "here")
        assert (instance is None) == bool(problems)

    def test_describes(self) -> None:
        shown = {o.name: (o.type, o.default) for o in describe(Component)}
        assert shown["bits"] == ("a whole number", None)
        assert shown["mode"] == ("one of 'fast', 'exact'", "fast")
        assert shown["sizes"] == ("a list (a whole number each)", "[1, 2]")


def checkpoint(folder: Path, weights: str = "model.safetensors", **config: object) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / weights).write_bytes(b"0" * 1000)
    return folder


class TestModels:
    def test_a_folder(self, tmp_path: Path) -> None:
        folder = checkpoint(tmp_path / "m")
        spec = resolve_model(ModelConfig(str(folder), dtype="float32"))
        assert (spec.path, spec.dtype) == (str(folder), "float32")

    def test_a_hub_id(self) -> None:
        assert resolve_model(ModelConfig("org/model-7b", revision="main")).path == "org/model-7b"

    def test_a_shipped_name(self) -> None:
        for name in shipped():
            assert (Path(resolve_model(ModelConfig(name)).path) / "config.json").is_file()

    def refusal(self, config: ModelConfig) -> str:
        with pytest.raises(RecipeError) as caught:
            resolve_model(config)
        return "\n".join(caught.value.problems)

    def test_near_miss_of_a_shipped_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ablate.models.shipped", lambda: ["tiny-reasoner"])
        assert "Did you mean 'tiny-reasoner'?" in self.refusal(ModelConfig("tiny-reasonr"))

    @pytest.mark.parametrize("name", ["", "a b", "a/b/c", "x\0"])
    def test_no_name_of_any_kind(self, name: str) -> None:
        assert "neither" in self.refusal(ModelConfig(name))

    def test_paths_that_are_no_model(self, tmp_path: Path) -> None:
        assert "does not exist" in self.refusal(ModelConfig(str(tmp_path / "none")))
        assert "has no config.json" in self.refusal(ModelConfig(str(tmp_path)))
        (tmp_path / "config.json").write_text("{")
        assert "cannot be read" in self.refusal(ModelConfig(str(tmp_path)))
        (tmp_path / "config.json").write_text("{}")
        assert "has no weights" in self.refusal(ModelConfig(str(tmp_path)))

    def test_pickles_must_be_asked_for(self, tmp_path: Path) -> None:
        folder = str(checkpoint(tmp_path / "m", "pytorch_model.bin"))
        assert "allow_pickle: true" in self.refusal(ModelConfig(folder))
        assert resolve_model(ModelConfig(folder, allow_pickle=True)).allow_pickle

    def test_remote_code_must_be_asked_for(self, tmp_path: Path) -> None:
        folder = str(checkpoint(tmp_path / "m", auto_map={"AutoModel": "x.Y"}))
        assert "trust_remote_code: true" in self.refusal(ModelConfig(folder))
        assert resolve_model(ModelConfig(folder, trust_remote_code=True)).trust_remote_code

    def test_a_revision_needs_a_hub_id(self, tmp_path: Path) -> None:
        folder = str(checkpoint(tmp_path / "m"))
        assert "revision 'v2'" in self.refusal(ModelConfig(folder, revision="v2"))

    def test_weights_must_fit(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = str(checkpoint(tmp_path / "m", dtype="bfloat16"))
        memory = psutil.virtual_memory()._replace(available=1500)
        monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
        assert resolve_model(ModelConfig(folder)).path == folder
        assert "does not fit" in self.refusal(ModelConfig(folder, dtype="float32"))
        on_a_gpu = resolve_model(ModelConfig(folder, dtype="float32"), on_host=False)
        assert on_a_gpu.path == folder


def test_the_reference_is_current() -> None:
    file = ROOT / "docs" / "reference" / "recipe.md"
    hint = "run: python -c 'from ablate.schema import reference; print(reference(), end=\"\")'"
    assert file.read_text(encoding="utf-8") == reference(), f"{hint} > {file}"


def test_durations_are_exact_enough(write_recipe: WriteRecipe) -> None:
    recipe = load_recipe(write_recipe(SMALL + "slo: {ttft: 250us, tpot: 0.5 s}\ntimeout: 1.5h"))
    assert math.isclose(recipe.slo["ttft"], 250e-6)
    assert (recipe.slo["tpot"], recipe.timeout) == (0.5, 5400)


class TestClaims:
    FACTORS = "factors: {weights: [awq, rtn], decode: [draft]}\n"

    def test_claims_are_read_and_written_back(self, write_recipe: WriteRecipe) -> None:
        text = (
            SMALL
            + self.FACTORS
            + (
                "claims:\n"
                "- {claim: non_inferior, factor: weights.awq, margin: 0.03}\n"
                '- {claim: faster, factor: decode, metric: e2e_latency, domain: "*", by: 1.2}\n'
                "- {claim: no_interaction, factor: weights.awq, other: decode}\n"
            )
        )
        recipe = load_recipe(write_recipe(text))
        assert recipe.claims == (
            Claim("non_inferior", "weights.awq", margin=0.03),
            Claim("faster", "decode", metric="e2e_latency", domain="*", by=1.2),
            Claim("no_interaction", "weights.awq", other="decode"),
        )
        assert load_recipe(write_recipe(resolved_yaml(recipe))).claims == recipe.claims

    @pytest.mark.parametrize(
        ("claim", "problem"),
        [
            ("{claim: fastr, factor: decode}", "claims[0].claim: there is no choice 'fastr'"),
            ("{claim: faster}", "claims[0].factor: a value is needed"),
            ("{claim: faster, factor: decod}", "claims[0].factor: there is no such factor. Did"),
            ("{claim: faster, factor: decode, domain: x}", "claims[0].domain: is none of"),
            ("{claim: faster, factor: decode, metric: spede}", "claims[0].metric: there is no"),
            ("{claim: faster, factor: decode, metric: accuracy}", "cannot be said of accuracy"),
            ("{claim: faster, factor: decode, metric: weights}", "cannot be said of weights"),
            ("{claim: faster, factor: decode, by: 0.5}", "by: must be a factor of at least 1"),
            ("{claim: interaction, factor: decode}", "claims[0].other: is needed"),
            ("{claim: faster, factor: decode, other: weights}", "is for interactions only"),
            ("{claim: interaction, factor: weights.a, other: weights.b}", "of the same factor"),
            ("{claim: smaller, factor: decode, metric: weights, domain: logic}", "name no domain"),
            ("{claim: non_inferior, factor: decode, by: 2}", "claims[0].by: is not for"),
            ("faster", "claims[0]: must be a mapping"),
        ],
    )
    def test_what_is_wrong_with_a_claim(
        self, write_recipe: WriteRecipe, claim: str, problem: str
    ) -> None:
        found = problems_of(write_recipe(f"{SMALL}{self.FACTORS}claims: [{claim}]\n"))
        assert any(problem in one for one in found), found

    def test_claims_are_a_list(self, write_recipe: WriteRecipe) -> None:
        assert problems_of(write_recipe(f"{SMALL}claims: 3\n")) == (
            "claims: must be a list of claims, got 3",
        )

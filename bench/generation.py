"""What each use of a text generator costs, in seconds and tokens, and what wishes bring.

    python bench/generation.py --json out/generation.json

The demo shop, everybody's last event held out. Every use is paid twice: from templates, and over HTTP from a server on
this machine that speaks vLLM's dialect and replies at once, what the template would have said. No model thinks behind
it: milliseconds are the processor's, of palate and that server, and a model's come on top. Tokens are palate's own
count of the messages (a token for four bytes of ASCII or one other sign). Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from palate.core import Float64Array
from palate.core.artefact import write_text
from palate.data import Dataset, Fold, hold_out_last
from palate.engine import Answer, Engine, EngineSettings
from palate.language import EncoderSettings
from palate.language.completing import CompletingSettings, complete
from palate.language.generation import Completion, Prompt, TemplateGenerator, TextGenerator, estimated_tokens
from palate.language.generation_http import Endpoint, EndpointSettings
from palate.language.paraphrasing import paraphrase
from palate.measure import compare
from palate.simulation import ShopSettings, make_shop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

OF = {"wish": "list", "explain": "list of ten", "describe": "item", "paraphrase": "item"}
"""What one use is."""


class Noting:
    """A generator that keeps what others reply with for the server, and an account of it by task."""

    def __init__(self, inner: TextGenerator) -> None:
        self.inner = inner
        self.templates: dict[str, str] = {}
        self.spent: dict[str, list[Completion]] = {}

    @property
    def name(self) -> str:
        return self.inner.name

    def generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        self.templates |= {prompt.messages()[1]: prompt.template for prompt in prompts}
        completions = self.inner.generate(prompts)
        for prompt, completion in zip(prompts, completions, strict=True):
            self.spent.setdefault(prompt.task, []).append(completion)
        return completions


def uses(engine: Engine, users: list[str], items: int) -> dict[str, tuple[int, Callable[[TextGenerator], Any]]]:
    """How often each use is made, and how."""

    def wishes(writer: TextGenerator) -> list[Answer]:
        engine.writer = writer
        return [engine.pursue(user, 10) for user in users]

    def reasons(writer: TextGenerator) -> None:
        engine.writer = writer
        for answer in explained:
            engine.narrate(answer)

    explained = [engine.recommend(user, 10, explain=True) for user in users[:40]]
    titles = engine.catalogue.titles[:items]
    describing = CompletingSettings(thin=10_000, most=items)
    return {
        "wish": (len(users), wishes),
        "explain": (len(explained), reasons),
        "describe": (items, lambda writer: complete(engine.catalogue, writer, describing)),
        "paraphrase": (items, lambda writer: paraphrase(writer, titles)),
    }


def measured(engine: Engine, fold: Fold, asked: int, items: int) -> dict[str, Any]:
    """Costs of every use, and N@10 of lists by way of wishes against the engine's own."""
    from tests.generation_fake import Say, serving, vllm

    rows = np.sort(np.random.default_rng(0).permutation(len(fold))[:asked]).astype(np.int32)
    fold = fold.take(rows)
    users = [fold.dataset.user_ids[int(user)] for user in fold.users]
    found: dict[str, Any] = {}
    usual = gains(engine.recommend_many(users, 10), engine, fold)
    for name, (count, use) in uses(engine, users, items).items():
        template, served = Noting(TemplateGenerator()), Noting(TemplateGenerator())

        def reply(seen: Any, known: Noting = served) -> Say:
            told = [message["content"] for message in seen.body["messages"]]
            text = known.templates[told[-1]]
            sent = sum(map(estimated_tokens, told))
            return vllm(text, prompt_tokens=sent, completion_tokens=estimated_tokens(text))

        seconds = {}
        started = time.process_time()
        answers = use(template)
        seconds["template"] = time.process_time() - started
        with serving(reply) as server:
            served.inner = Endpoint(EndpointSettings(url=server.url, model="replies-at-once"), "")
            started = time.process_time()
            use(served)
            seconds["endpoint"] = time.process_time() - started
        spent = served.spent[name]
        found[name] = {
            "a use is a": OF[name],
            "uses": count,
            "calls_each": round(len(spent) / count, 2),
            "prompt_tokens_each": round(sum(one.prompt_tokens for one in spent) / count, 1),
            "reply_tokens_each": round(sum(one.completion_tokens for one in spent) / count, 1),
            "processor_milliseconds_each": {by: round(1000 * took / count, 2) for by, took in seconds.items()},
            "failures": sum(bool(one.failure) for one in spent),
        }
        if name == "wish":
            ways = {"usual": usual, "by wishes": gains(answers, engine, fold)}
            change = compare(ways["by wishes"], usual)[0].relative
            found[name]["ndcg@10"] = {way: round(float(values.mean()), 4) for way, values in ways.items()}
            found[name]["change"] = {"estimate": change.estimate, "low": change.low, "high": change.high}
    return found


def gains(answers: Sequence[Answer], engine: Engine, fold: Fold) -> Float64Array:
    """N@10 of each answer, one target each; float64 (n,)."""
    values = np.zeros(len(answers))
    for row, answer in enumerate(answers):
        target = engine.catalogue.ids[int(fold.targets[row][0])]
        places = [place for place, item in enumerate(answer.items) if item.item == target]
        values[row] = 1 / np.log2(places[0] + 2) if places else 0.0
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("users", 250), ("items", 150), ("days", 240), ("asked", 120), ("described", 100)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    given = parser.parse_args()
    shop = make_shop(ShopSettings(users=given.users, items=given.items, days=given.days), given.seed)
    fold = hold_out_last(Dataset.from_frames(shop.events, shop.items, shop.users, name="demo"), minimum=3)
    settings = EngineSettings.preset("fast").model_copy(update={"encoder": EncoderSettings(encoder="lexical")})
    engine = Engine.fit(fold.dataset, settings=settings, seed=given.seed)
    figures = json.dumps(measured(engine, fold, given.asked, given.described), indent=1)
    print(figures)
    if given.json:
        write_text(given.json, figures + "\n")


if __name__ == "__main__":
    main()

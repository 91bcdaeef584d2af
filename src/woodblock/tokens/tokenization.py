"""The tokenizer: SentencePiece BPE with byte fallback and the tokens of a chat, as a Hugging Face folder.

The folder has tokenizer.model, which our own code and llama.cpp read, and tokenizer.json, which transformers and others
read; both give the same ids. A folder that another program saved again has only the second one; it can be read too. Ids 0
to 5 are control tokens. No text gives them: a user's "<|im_end|>" is encoded as the pieces that spell it, so nobody can
end a turn by typing it.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import sentencepiece
from tokenizers import AddedToken, decoders, models, processors
from tokenizers import Tokenizer as FastTokenizer

from woodblock.base.errors import UserError

UNKNOWN, START, END, TURN_START, TURN_END, PAD = "<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<pad>"
CONTROLS = (UNKNOWN, START, END, TURN_START, TURN_END, PAD)
SPACE = "\u2581"  # SentencePiece's mark for a space, which may also stand in a text as a character of its own
SPACE_BYTES = [f"<0x{byte:02X}>" for byte in SPACE.encode()]

# The book's ChatML, after a start token: every document of pretraining begins with one. A content may be text, nothing, or
# a list of parts with text. `generation` marks what is learned, for libraries that ask which tokens the assistant said.
CHAT_TEMPLATE = """\
{%- macro text_of(content) -%}
    {%- if content is string -%}
        {{- content -}}
    {%- elif content is not none and content is defined -%}
        {%- for part in content -%}
            {%- if part is string -%}
                {{- part -}}
            {%- elif part['type'] == 'text' -%}
                {{- part['text'] -}}
            {%- else -%}
                {{- raise_exception('this model reads text alone, and no part of type ' + part['type']) -}}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro -%}
{{- bos_token -}}
{%- for message in messages -%}
    {{- '<|im_start|>' + message['role'] + '\n' -}}
    {%- if message['role'] == 'assistant' -%}
        {%- generation -%}
            {{- text_of(message['content']) + '<|im_end|>' -}}
        {%- endgeneration -%}
    {%- else -%}
        {{- text_of(message['content']) + '<|im_end|>' -}}
    {%- endif -%}
    {{- '\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{- '<|im_start|>assistant\n' -}}
{%- endif -%}
"""

SENTENCE_BYTES = 4000  # SentencePiece drops longer "sentences" without a message
SENTENCE = re.compile(r"[^。！？\n]*[。！？]?")


class Pieces(Protocol):
    """What knows the pieces of a vocabulary."""

    size: int

    def ids_of(self, pieces: Iterable[str]) -> list[int | None]: ...
    def encode(self, texts: list[str], threads: int) -> list[list[int]]: ...
    def decode(self, ids: list[int]) -> str: ...


class SentencePieces:
    """A tokenizer.model."""

    def __init__(self, model: bytes) -> None:
        self.processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        self.size: int = self.processor.get_piece_size()
        self.mark: list[int] = [self.processor.piece_to_id(piece) for piece in SPACE_BYTES]

    def ids_of(self, pieces: Iterable[str]) -> list[int | None]:
        return [self.processor.piece_to_id(piece) for piece in pieces]

    def encode(self, texts: list[str], threads: int) -> list[list[int]]:
        ids: list[list[int]] = self.processor.encode(texts, num_threads=threads)
        return [self._with_marks(text) if SPACE in text else own for text, own in zip(texts, ids, strict=True)]

    def _with_marks(self, text: str) -> list[int]:
        """Ids of a text with U+2581, which SentencePiece takes for a space: it is written as bytes."""
        first, *others = self.processor.encode(text.split(SPACE))
        return [*first, *(token for own in others for token in (*self.mark, *own))]

    def decode(self, ids: list[int]) -> str:
        text: str = self.processor.decode(ids)
        return text


class JsonPieces:
    """A tokenizer.json, where there is no tokenizer.model."""

    def __init__(self, text: str) -> None:
        self.fast = FastTokenizer.from_str(text)
        self.fast.encode_special_tokens = True  # text that spells a control token is text
        self.fast.no_truncation()
        self.fast.no_padding()
        self.size: int = self.fast.get_vocab_size()

    def ids_of(self, pieces: Iterable[str]) -> list[int | None]:
        return [self.fast.token_to_id(piece) for piece in pieces]

    def encode(self, texts: list[str], threads: int) -> list[list[int]]:
        return [encoded.ids for encoded in self.fast.encode_batch(texts, add_special_tokens=False)]

    def decode(self, ids: list[int]) -> str:
        text: str = self.fast.decode(ids)
        return text


class Tokenizer:
    """Text ↔ ids, over the pieces of a folder."""

    def __init__(self, pieces: Pieces, file: str = "tokenizer.model") -> None:
        self._pieces = pieces
        self.vocab_size = pieces.size
        ids = pieces.ids_of(CONTROLS)
        if ids != list(range(len(CONTROLS))):
            raise UserError(
                f"{file} was not made by this pipeline: its control tokens have the ids {ids}; run the tokenizer stage"
            )
        self.start_id, self.end_id, self.turn_start_id, self.turn_end_id, self.pad_id = range(1, len(CONTROLS))

    @classmethod
    def load(cls, folder: Path | str) -> Tokenizer:
        """Read a folder's tokenizer.model or, where there is none, its tokenizer.json. Raises UserError where both are
        missing, or the file cannot be read."""
        path, instead = Path(folder) / "tokenizer.model", Path(folder) / "tokenizer.json"
        if not path.is_file() and not instead.is_file():
            raise UserError(f"{path}: there is no such file; run the tokenizer stage, or dvc checkout")
        found = path if path.is_file() else instead
        try:
            pieces = SentencePieces(found.read_bytes()) if found == path else JsonPieces(found.read_text("utf-8"))
        except Exception as error:  # the libraries raise RuntimeError, and Exception itself
            raise UserError(
                f"{found} cannot be read ({type(error).__name__}); run the tokenizer stage, or dvc checkout"
            ) from error
        return cls(pieces, found.name)

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without start and end token; never a control id, whatever the text is."""
        return self._pieces.encode([text], 1)[0]

    def encode_many(self, texts: list[str], threads: int) -> list[list[int]]:
        return self._pieces.encode(texts, threads)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids. Control ids give nothing, bytes that are not UTF-8 give U+FFFD."""
        return self._pieces.decode([i for i in ids if i >= len(CONTROLS)])

    def encode_chat(self, messages: list[dict[str, str]], reply: bool = False) -> list[int]:
        """Ids of a conversation in the chat template; with reply, up to the place where the assistant's reply begins.

        messages: dictionaries of role and content. The ids are those of the folder's chat template. But where a content
        spells a control token, only this function is safe.
        """
        return [token for part, _ in self.chat_parts(messages) for token in part] + (
            [self.turn_start_id, *self.encode("assistant\n")] if reply else []
        )

    def chat_parts(self, messages: list[dict[str, str]]) -> Iterator[tuple[list[int], bool]]:
        """A conversation as parts (ids, whether they are learned): learned are the assistant's contents, each with the
        token that ends it."""
        yield [self.start_id], False
        for message in messages:
            head, content = self.encode(f"{message['role']}\n"), self.encode(message["content"])
            yield [self.turn_start_id, *head], False
            yield [*content, self.turn_end_id], message["role"] == "assistant"
            yield self.encode("\n"), False


def sentences(text: str) -> Iterator[str]:
    """Cut a text after 。！？ and at newlines, into pieces of at most SENTENCE_BYTES."""
    for sentence in SENTENCE.findall(text):
        for start in range(0, len(sentence), SENTENCE_BYTES // 4):  # a character has at most four bytes
            yield sentence[start : start + SENTENCE_BYTES // 4]


THREADS = 2  # the model's bytes contain it. BPE trains in one thread: 2.9 M characters take as long with 1, 2 or 4


def train(texts: Iterable[str], vocab_size: int, character_coverage: float) -> bytes:
    """Train a BPE on the texts; returns the serialised SentencePiece model.

    With identity normalisation, byte fallback, no dummy prefix and all spaces kept, decoding gives back any text exactly.
    Source: Sennrich et al. 2016 (BPE); Kudo & Richardson 2018 (SentencePiece). Raises UserError where the vocabulary is
    too large or too small for the text.
    """
    model = io.BytesIO()
    pieces = (sentence for text in texts for sentence in sentences(text) if sentence)
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=pieces,
            model_writer=model,  # with a file, its name would be in the model's bytes
            model_type="bpe",
            vocab_size=vocab_size,
            character_coverage=character_coverage,
            byte_fallback=True,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            allow_whitespace_only_pieces=True,
            required_chars=SPACE,  # a text without spaces would leave the space without a piece, and it would come back as ▁
            split_digits=True,
            max_sentence_length=2 * SENTENCE_BYTES,
            unk_id=0,
            unk_piece=UNKNOWN,
            bos_id=1,
            bos_piece=START,
            eos_id=2,
            eos_piece=END,
            control_symbols=[TURN_START, TURN_END],
            pad_id=5,
            pad_piece=PAD,
            num_threads=THREADS,
            minloglevel=2,
        )
    except (RuntimeError, OSError) as error:
        raise UserError(_explain(str(error), vocab_size)) from error
    return model.getvalue()


def _explain(error: str, vocab_size: int) -> str:
    """One of SentencePiece's errors ("CODE: file(line) [condition] text", often without the text), as one line for users."""
    misfit = f"tokenizer.vocab_size: {vocab_size} does not fit the training text"
    if found := re.search(r"set it to a value <= (\d+)", error):
        return f"{misfit}, which gives at most {found[1]} pieces; use {found[1]}, or add text"
    if found := re.search(r"smaller than required_chars\. \d+ vs (\d+)", error):
        return (
            f"{misfit}: its characters, the bytes and the control tokens are {found[1]} pieces; use at least {found[1]}, "
            "or lower tokenizer.character_coverage"
        )
    if "sentences_.empty()" in error or "all_chars_count" in error:
        return "the training text is empty; metrics/clean.json and metrics/dedup.json say what was dropped"
    condition, _, text = error[error.find("[") + 1 :].rpartition("]")
    return f"SentencePiece cannot train on this text ({text.strip() or condition or error.strip()})"


def save(model: bytes, folder: Path) -> None:
    """Write a tokenizer folder that our code, transformers' AutoTokenizer (4.45 and newer) and llama.cpp read."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.model").write_bytes(model)
    fast = _fast(sentencepiece.SentencePieceProcessor(model_proto=model))
    (folder / "tokenizer.json").write_text(fast.to_str(pretty=True), encoding="utf-8")
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    write_settings(SETTINGS, folder)


SETTINGS_FILE = "tokenizer_config.json"
SETTINGS: dict[str, Any] = {
    "tokenizer_class": "PreTrainedTokenizerFast",  # both transformers 4 and 5 have this name
    "unk_token": UNKNOWN,
    "bos_token": START,
    "eos_token": END,
    "pad_token": PAD,
    "additional_special_tokens": [TURN_START, TURN_END],
    "add_bos_token": True,
    "add_eos_token": False,
    "add_prefix_space": False,  # for llama.cpp, which otherwise puts a space before every text
    "padding_side": "left",  # so that the replies to a batch of prompts begin where the prompts end
    "clean_up_tokenization_spaces": False,
    "model_input_names": ["input_ids", "attention_mask"],  # by default transformers 4 also gives token_type_ids
}


def write_settings(settings: dict[str, Any], folder: Path) -> None:
    """Write a folder's tokenizer_config.json."""
    text = json.dumps(settings, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    (folder / SETTINGS_FILE).write_text(text, encoding="utf-8")


def _fast(processor: sentencepiece.SentencePieceProcessor) -> FastTokenizer:
    """The same BPE for the `tokenizers` library.

    SentencePiece merges the two neighbours that together are the piece with the best score. `tokenizers` needs a ranked
    list of pairs: every way to cut a piece into two pieces, in the order of the pieces' scores. Pieces have real spaces
    here, and no mark for them: so U+2581 in a text is no piece, and is written as bytes.
    """
    size = processor.get_piece_size()
    pieces = [processor.id_to_piece(i).replace(SPACE, " ") for i in range(size)]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    mergeable = [
        i for i in range(size) if not (processor.is_control(i) or processor.is_byte(i) or processor.is_unknown(i))
    ]
    merges = []
    for number in sorted(mergeable, key=lambda i: (-processor.get_score(i), i)):
        piece = pieces[number]
        cuts = [(piece[:k], piece[k:]) for k in range(1, len(piece))]
        merges += sorted((c for c in cuts if c[0] in vocabulary and c[1] in vocabulary), key=lambda c: len(c[0]))
    fast = FastTokenizer(models.BPE(vocabulary, merges, unk_token=UNKNOWN, fuse_unk=True, byte_fallback=True))
    fast.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    fast.post_processor = processors.TemplateProcessing(
        single=f"{START} $A", pair=f"{START} $A $B", special_tokens=[(START, vocabulary[START])]
    )
    fast.add_special_tokens([AddedToken(control, special=True, normalized=False) for control in CONTROLS])
    return fast

"""The tokenizer: SentencePiece BPE with byte fallback and the tokens of a chat, as a Hugging Face folder.

The folder has tokenizer.model, which our own code reads, and tokenizer.json, which transformers and others read; both
give the same ids. Ids 0 to 5 are control tokens. No text gives them: a user's "<|im_end|>" is encoded as the pieces that
spell it, so nobody can end a turn by typing it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import sentencepiece
from tokenizers import AddedToken, decoders, models, normalizers, processors
from tokenizers import Tokenizer as FastTokenizer
from transformers import PreTrainedTokenizerFast

from woodblock.base.errors import UserError

UNKNOWN, START, END, TURN_START, TURN_END, PAD = "<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<pad>"
CONTROLS = (UNKNOWN, START, END, TURN_START, TURN_END, PAD)
SPACE = "\u2581"  # SentencePiece's mark for a space

# The book's ChatML, after a start token: every document of pretraining begins with one.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

SENTENCE_BYTES = 4000  # SentencePiece drops longer "sentences" without a message
SENTENCE = re.compile(r"[^。！？\n]*[。！？]?")


class Tokenizer:
    """Text ↔ ids, over the SentencePiece model of a folder."""

    def __init__(self, processor: sentencepiece.SentencePieceProcessor) -> None:
        self._processor = processor
        self.vocab_size: int = processor.get_piece_size()
        ids = [processor.piece_to_id(piece) for piece in CONTROLS]
        if ids != list(range(len(CONTROLS))):
            raise UserError(
                f"tokenizer.model was not made by this pipeline: its control tokens have the ids {ids}; run the tokenizer "
                "stage"
            )
        _, self.start_id, self.end_id, self.turn_start_id, self.turn_end_id, self.pad_id = ids

    @classmethod
    def load(cls, folder: Path | str) -> Tokenizer:
        """Read a folder's tokenizer.model. Raises UserError where there is none."""
        path = Path(folder) / "tokenizer.model"
        if not path.is_file():
            raise UserError(f"{path}: there is no such file; run the tokenizer stage, or dvc checkout")
        return cls(sentencepiece.SentencePieceProcessor(model_proto=path.read_bytes()))

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without start and end token; never a control id, whatever the text is."""
        ids: list[int] = self._processor.encode(text)
        return ids

    def encode_many(self, texts: list[str], threads: int) -> list[list[int]]:
        ids: list[list[int]] = self._processor.encode(texts, num_threads=threads)
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids. Control ids give nothing, bytes that are not UTF-8 give U+FFFD."""
        text: str = self._processor.decode([i for i in ids if i >= len(CONTROLS)])
        return text

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
    """Write a tokenizer folder that both our code and transformers' AutoTokenizer read."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.model").write_bytes(model)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=_fast(sentencepiece.SentencePieceProcessor(model_proto=model)),
        unk_token=UNKNOWN,
        bos_token=START,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[TURN_START, TURN_END],
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(folder)


def _fast(processor: sentencepiece.SentencePieceProcessor) -> FastTokenizer:
    """The same BPE for the `tokenizers` library.

    SentencePiece merges the two neighbours that together are the piece with the best score. `tokenizers` needs a ranked
    list of pairs: every way to cut a piece into two pieces, in the order of the pieces' scores.
    """
    size = processor.get_piece_size()
    vocabulary = {processor.id_to_piece(i): i for i in range(size)}
    mergeable = [
        i for i in range(size) if not (processor.is_control(i) or processor.is_byte(i) or processor.is_unknown(i))
    ]
    merges = []
    for piece in map(processor.id_to_piece, sorted(mergeable, key=lambda i: (-processor.get_score(i), i))):
        cuts = [(piece[:k], piece[k:]) for k in range(1, len(piece))]
        merges += sorted((c for c in cuts if c[0] in vocabulary and c[1] in vocabulary), key=lambda c: len(c[0]))
    fast = FastTokenizer(models.BPE(vocabulary, merges, unk_token=UNKNOWN, fuse_unk=True, byte_fallback=True))
    fast.normalizer = normalizers.Replace(" ", SPACE)
    fast.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    fast.post_processor = processors.TemplateProcessing(
        single=f"{START} $A", pair=f"{START} $A $B", special_tokens=[(START, vocabulary[START])]
    )
    fast.add_special_tokens([AddedToken(control, special=True, normalized=False) for control in CONTROLS])
    return fast

"""Tables hold what they were given, in the same bytes as Arrow itself would write, and without pandas."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from woodblock.tables import parquet

TEXT = st.text(max_size=8)
MESSAGE = st.fixed_dictionaries({"role": TEXT, "content": TEXT})


@pytest.mark.parametrize("columns", [parquet.CLEANED, parquet.INSTRUCTIONS, parquet.SPLIT_DOCUMENTS, parquet.DROPS])
@given(data=st.data())
def test_a_table_is_that_of_arrow(columns, data):
    kinds = {"string": data.draw(st.sampled_from([TEXT, TEXT | st.none()])), "int64": st.integers(-9, 2**62)}
    kinds |= {"double": st.floats(allow_nan=False)}
    values = {field.name: kinds.get(str(field.type), st.lists(MESSAGE, max_size=3)) for field in columns}
    rows = data.draw(st.lists(st.fixed_dictionaries(values), max_size=4))
    made, expected = parquet._table(rows, columns), pa.Table.from_pylist(rows, schema=columns)
    assert made.equals(expected)
    made.validate(full=True)
    sinks = [pa.BufferOutputStream(), pa.BufferOutputStream()]
    for table, sink in zip((made, expected), sinks, strict=True):
        pq.write_table(table, sink, compression="zstd")
    assert sinks[0].getvalue().equals(sinks[1].getvalue())


def test_what_a_record_lacks_is_null_and_what_does_not_fit_is_an_error():
    assert parquet._table([{"id": "a"}, {}], parquet.schema(id="string")).to_pylist() == [{"id": "a"}, {"id": None}]
    with pytest.raises(pa.ArrowInvalid):
        parquet._table([{"id": "a"}], parquet.schema(id="float64"))


def test_reading_and_writing_a_table_leave_pandas_alone(tmp_path):
    lines = (
        "import sys; from pathlib import Path; from woodblock.tables import parquet",
        "row = dict(id='a', source='b', weight=1.0, messages=[dict(role='user', content='c')])",
        "parquet.write(Path('t'), [row], parquet.INSTRUCTIONS)",
        "assert list(parquet.stream(Path('t'))) == [row]",
        "print('pandas' in sys.modules)",
    )
    source = Path(parquet.__file__).parents[2].as_posix()
    command = [sys.executable, "-c", "\n".join(["import sys", f"sys.path.insert(0, {source!r})", *lines])]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"

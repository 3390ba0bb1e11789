"""What the heads of models' files tell: read on the host, before it fetches the files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from signalbox.desired.model_memory import gguf
from signalbox.shell import Script, each_of, sh
from signalbox.shell.answer import HostFact, asked, records
from signalbox.untrusted import json_of

SECONDS = 60
_FIRST = 32 << 20  # bytes of a file; the largest vocabularies of today make 12 MiB
_MAX_BYTES = 256 * 1024
_CURL = sh("curl --fail --silent --location --globoff --netrc-optional --connect-timeout 10")

# Of gguf.py, which needs nothing but Python: it stands before this, and reads as nobody what somebody else has made.
_PROGRAM = """
def main():
    import json, sys
    try:
        head = head_of(sys.stdin.buffer.read(MOST))
    except ValueError as error:
        return print(json.dumps({"problem": str(error)}))
    name = str(head.values.get("general.architecture", ""))
    values = {k: v for k, v in head.values.items() if k == "general.architecture" or k.startswith(name + ".")}
    counts = {k: v for k, v in head.counts.items() if k == "tokenizer.ggml.tokens"}
    print(json.dumps({"tensors": head.tensors, "values": values, "counts": counts}))
main()
"""


@dataclass(frozen=True)
class ModelHead:
    """A model's file: bytes of the whole (0: not told), its head (None: not read), and why not."""

    size: int = 0
    head: gguf.Head | None = None
    problem: str = ""


class ModelHeads(HostFact[dict[str, ModelHead]]):
    """The heads of these files, each an address or a path of the host's."""

    def command(self, sources: tuple[str, ...]) -> Script:
        """Return the command."""
        program = f"{Path(gguf.__file__).read_text()}\n{_PROGRAM}"
        read = sh("timeout 20 setpriv --reuid=65534 --regid=65534 --clear-groups python3 -I -c {}", program)
        return asked(each_of(*(_of(source, read) for source in sources)), seconds=SECONDS)

    default = dict

    def process(self, output: list[str]) -> dict[str, ModelHead]:
        """Read a source, a size and what its head tells a record."""
        found = {}
        for _, source, size, told in records(output, {"head": 3}):
            whole = int(size) if size.isascii() and size.isdigit() and len(size) < 16 else 0
            found[source] = _told(whole, told)
        return found


def _of(source: str, read: Script) -> Script:
    if source.startswith("/"):
        size, head = sh("stat -c %s {}", source), sh("head -c {} {}", _FIRST, source)
    else:
        last = 'tolower($1) == "content-length:" { n = $2 } END { print n }'
        size = sh("{} -I {} | tr -d '\\r' | awk {}", _CURL, source, last)
        # A server that knows no ranges would send all of it.
        head = sh("{} -r 0-{} {} | head -c {}", _CURL, _FIRST - 1, source, _FIRST)
    return sh('printf \'head\\0%s\\0%s\\0%s\\0\' {} "$({})" "$({} | {})"', source, size, head, read)


def _told(size: int, text: str) -> ModelHead:
    try:
        told = json_of(text, max_bytes=_MAX_BYTES)
        if problem := told.get("problem"):
            return ModelHead(size, None, str(problem)[:200])
        values = {str(key): tuple(each) if isinstance(each, list) else each for key, each in told["values"].items()}
        counts = {str(key): int(each) for key, each in told["counts"].items()}
        return ModelHead(size, gguf.Head(int(told["tensors"]), values, counts))
    except (ValueError, KeyError, TypeError, AttributeError):
        return ModelHead(size, None, "the host did not tell what stands in its head")

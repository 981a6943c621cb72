"""What a function's package is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tapehouse.cloud.package.cache import files_in


@dataclass(frozen=True, slots=True)
class Report:
    """Bytes by part: each top-level package of the layer, and the code."""

    parts: tuple[tuple[str, int], ...]

    @property
    def total(self) -> int:
        """Bytes of all files: what Lambda counts."""
        return sum(size for _, size in self.parts)

    def __str__(self) -> str:
        rows = [*self.parts, ("total", self.total)]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {size:>13,}" for name, size in rows)


def measure(layer: Path, code: Path) -> Report:
    """Sizes of the parts, largest first. A library folder (`x.libs`) and metadata count to their package."""
    sizes: dict[str, int] = {}
    for path in files_in(layer):
        top = path.relative_to(layer).parts[1]
        name = top.removesuffix(".py").split("-")[0].removesuffix(".libs").removesuffix(".dist").lstrip("_")
        sizes[name] = sizes.get(name, 0) + path.stat().st_size
    sizes["code of functions"] = sum(path.stat().st_size for path in files_in(code))
    return Report(tuple(sorted(sizes.items(), key=lambda item: (-item[1], item[0]))))

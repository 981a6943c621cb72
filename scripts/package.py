"""What a cluster without internet needs to run Tapehouse; see `tapehouse.cloud.package.cluster`.

.venv/bin/python scripts/package.py --out dist/cluster --python 3.11
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tapehouse.cloud.package import glue_target
from tapehouse.cloud.package.cluster import write_cluster_files
from tapehouse.errors import TapehouseError

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "cluster")
    parser.add_argument("--python", default="3.11", help="the cluster's Python")
    options = parser.parse_args()
    try:
        made = write_cluster_files(options.out.absolute(), glue_target(options.python))
    except TapehouseError as error:
        sys.exit(str(error))
    print(f"{made.folder}: {made.wheels} wheels, site.tar.gz of {made.archive_bytes / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()

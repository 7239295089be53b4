"""The one door to what reads Parquet and Arrow files: import `parquet` and `ipc` from here.

pyarrow before 14.0.1 runs code that such a file brings along, in a column of a pickled extension type
(CVE-2023-47248). pyarrow-hotfix ends that for the whole process. By itself it refuses the files; here such a column is
read as what it stores, as later versions of pyarrow read it.
"""

import atexit

import pyarrow as pa
from pyarrow import ipc, parquet

if int(pa.__version__.partition(".")[0]) < 15:
    import pyarrow_hotfix  # noqa: F401 (it takes effect as it is imported)

    pa.unregister_extension_type("arrow.py_extension_type")
    atexit.unregister(pa.lib._unregister_py_extension_types)  # it would miss the type and complain

__all__ = ["ipc", "parquet"]

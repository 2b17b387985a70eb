"""Child processes of tests and benches: they end with the process that started them, even if it is killed."""

import shutil
import sys
from typing import Final

_SETPRIV: Final = shutil.which("setpriv") if sys.platform == "linux" else None


def ending_with_us(*command: str) -> list[str]:
    """Return a command whose process the kernel kills when this process ends.

    `setpriv` asks the kernel for it and then becomes the command, so the process id stays. The kernel watches the
    thread that starts the command: start it in one that lives as long. Elsewhere than on Linux nothing changes.
    """
    return [*((_SETPRIV, "--pdeathsig", "KILL", "--") if _SETPRIV else ()), *command]

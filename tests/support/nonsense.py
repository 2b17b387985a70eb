"""Replies that no command of the worker has: well-formed RESP of another shape, and errors of no known kind."""

from typing import Final

NONSENSE: Final = (
    b":5\r\n",
    b"+what\r\n",
    b"$-1\r\n",
    b"*-1\r\n",
    b"*0\r\n",
    b"*1\r\n:1\r\n",
    b"*1\r\n*-1\r\n",
    b"*2\r\n:1\r\n:1\r\n",
    b"*1\r\n*2\r\n+audio:sample:requests\r\n$-1\r\n",
    b"*1\r\n*2\r\n+audio:sample:requests\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*1\r\n+size\r\n",
    b"*1\r\n*2\r\n+audio:sample:requests\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n+size\r\n:8\r\n",
    b"*2\r\n-ERR within\r\n-ERR within\r\n",
    b"*3\r\n$7\r\nsettled\r\n+soon\r\n:1\r\n",
    b"*7\r\n$5\r\nstale\r\n:1\r\n*1\r\n:99\r\n*1\r\n+a\r\n*1\r\n+b\r\n*0\r\n*0\r\n",
    b"*4\r\n$7\r\nunknown\r\n:1\r\n*0\r\n*0\r\n",
    b"*4\r\n$8\r\npmessage\r\n:1\r\n:2\r\n:3\r\n",
    b"*1\r\n$8\r\npmessage\r\n",
    b"-\r\n",
    b"-NOSUCHKIND of \xff error\r\n",
    b"-NOSCRIPT there is one\r\n",
    b"%1\r\n+a map\r\n:3\r\n",
)

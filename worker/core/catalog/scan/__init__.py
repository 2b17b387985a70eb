"""What a scan decides about files, without opening one: kind, category, split and segments."""

from worker.core.catalog.scan.kinds import AUDIO_SUFFIXES, is_audio, kind_of
from worker.core.catalog.scan.measured import Measured
from worker.core.catalog.scan.options import Rules, ScanOptions
from worker.core.catalog.scan.placing import Place, Placing
from worker.core.catalog.scan.segments import Segments, Span, cut

__all__ = [
    "AUDIO_SUFFIXES",
    "Measured",
    "Place",
    "Placing",
    "Rules",
    "ScanOptions",
    "Segments",
    "Span",
    "cut",
    "is_audio",
    "kind_of",
]

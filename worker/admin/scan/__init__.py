"""Scan a folder of audio files, once or for as long as it changes."""

from worker.admin.scan.reading import Progress
from worker.admin.scan.report import ScanReport
from worker.admin.scan.scanning import scan_folder
from worker.admin.scan.watching import Followed, watch_folder

__all__ = ["Followed", "Progress", "ScanReport", "scan_folder", "watch_folder"]

"""Spark: one quiet context per process, a session for every study, and errors in one line."""

import atexit
import logging
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from research.errors import StudyError
from research.files import make_scratch_folder, sweep
from research.study_schema import Engine

QUIET = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}
FOLDER = "research-spark-own-"  # in TMPDIR; earlier versions, which lock none, have other names
JAVA_OPTIONS = "spark.driver.extraJavaOptions"
_LAUNCHED: list[Any] = []  # the one session from which all others of this process descend


def open_session(engine: Engine, place: str) -> Any:
    """Return a new session of this process's Spark, which is started the first time.

    Parameters
    ----------
    engine : the part ``engine`` of study.yml
    place : where it stands, as a fault names it

    Raises
    ------
    StudyError
        If pyspark or Java is missing, Spark doesn't start, or it already runs with other options
        that can't be changed any more.
    """
    options = _list_options(engine)
    running = _find_running(place)
    session = (running or _launch(options, place)).newSession()
    for name, value in options.items():
        if session.conf.isModifiable(name):
            session.conf.set(name, value)
        elif running is not None and name not in QUIET:
            _require_option(name, value, session.conf.get(name, "nothing"), place)
    return session


def _list_options(engine: Engine) -> dict[str, str]:
    master = {"spark.master": engine.master} if engine.master else {}
    own = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in engine.options.items()
    }
    return master | QUIET | own


def _require_option(name: str, wanted: str, current: str, place: str) -> None:
    """Refuse an option that a running Spark has otherwise; Java's may have a prefix of our own."""
    if current != wanted and not current.endswith(f" {wanted}"):
        raise StudyError(
            f"{place}: expected Spark with {name} {wanted}, but this process already runs Spark"
            f" with {current}; start a new process"
        )


def _find_running(place: str) -> Any | None:
    """Return a session that runs already: the package's own, or one that came with the process."""
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise StudyError(
            f"{place}: expected pyspark for the engine spark, but it is not installed; install it"
            " with 'pip install research[spark]'"
        ) from None
    _LAUNCHED[:] = [
        session for session in _LAUNCHED if session.sparkContext._jsc is not None
    ]  # a stopped context has none
    return _LAUNCHED[0] if _LAUNCHED else SparkSession.getActiveSession()


def _launch(options: dict[str, str], place: str) -> Any:
    """Start Spark; it and Java write to a log in a folder that is removed with the process."""
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    _require_java(place)
    # it would print every error that is raised anyway
    logging.getLogger("SQLQueryContextLogger").disabled = True
    parent = Path(tempfile.gettempdir())
    sweep(parent, f"{FOLDER}*")
    scratch, release = make_scratch_folder(parent, FOLDER)
    atexit.register(release)
    conf = SparkConf(loadDefaults=False).setAll(_add_folders(options, scratch).items())
    with (scratch / "log").open("wb") as log:
        try:
            gateway = launch_gateway(conf, {"stdout": log, "stderr": log})
            shared = SparkConf(_jvm=gateway.jvm).setAll(conf.getAll())
            session = SparkSession(SparkContext(gateway=gateway, conf=shared))
        except (*list_errors(), OSError) as error:  # a wrong option, no port, no memory, no Java
            reason = _find_error_line(scratch / "log") or describe_error(error)
            raise StudyError(
                f"{place}: expected Spark to start, got this error: {reason}; correct master or"
                " options"
            ) from None
    atexit.register(session.stop)
    _LAUNCHED.append(session)
    return session


def _add_folders(options: dict[str, str], scratch: Path) -> dict[str, str]:
    """Return options with which Spark and Java write to ``scratch``, not to the user's folder."""
    folders = {
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.local.dir": str(scratch),
    }
    java = f"-Dderby.system.home={scratch} -Djava.io.tmpdir={scratch}"
    return folders | options | {JAVA_OPTIONS: f"{java} {options.get(JAVA_OPTIONS, '')}".strip()}


def _require_java(place: str) -> None:
    """Refuse a machine without Java; under spark-submit a gateway with its own Java exists."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin") if home else None)
    if java is None and "PYSPARK_GATEWAY_PORT" not in os.environ:
        where = f"JAVA_HOME {home}" if home else "the PATH"
        raise StudyError(
            f"{place}: expected Java 17 or later for the engine spark, found none on {where};"
            " install a Java runtime or set JAVA_HOME"
        )


def _find_error_line(log: Path) -> str:
    """Return the first line of a log that names an error, empty where there is none."""
    lines = [
        line
        for line in log.read_text(errors="replace").splitlines()
        if re.search(r"error|exception", line, re.IGNORECASE)
    ]
    return " ".join(lines[0].split())[:300] if lines else ""


def name_path(path: Path) -> str:
    """Return a local file's name for Spark, whatever wildcards it contains."""
    return "file://" + re.sub(r"([\\*?\[\]{}])", r"\\\1", str(path))


def list_errors() -> tuple[type[Exception], ...]:
    """Return what Spark raises: errors of its own, and those of the bridge to Java."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    return PySparkException, Py4JError


def describe_error(error: Exception) -> str:
    """Return the first line of Spark's message."""
    text = getattr(error, "getMessage", lambda: None)() or str(error)
    return " ".join(text.strip().splitlines()[0].split()) if text.strip() else type(error).__name__

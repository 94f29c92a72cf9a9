"""Spark: one silent context in a process, a session of its own for every study, and its errors as
one line.
"""

import atexit
import logging
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from research.errors import StudyError
from research.study_schema import Engine

QUIET = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}
JAVA_OPTIONS = "spark.driver.extraJavaOptions"
_LAUNCHED: list[Any] = []  # the one session from which all others of this process descend


def open_session(engine: Engine, place: str) -> Any:
    """Return a new session of this process's Spark, with the engine's options; Spark is started the
    first time.

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
    wanted = {"spark.master": engine.master} if engine.master else {}
    wanted |= QUIET | {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in engine.options.items()
    }
    root = _find_running(place)
    fresh = root is None
    root = _launch(wanted, place) if fresh else root
    session = root.newSession()
    for name, value in wanted.items():
        if session.conf.isModifiable(name):
            session.conf.set(name, value)
        elif (
            not fresh
            and name not in QUIET
            and not _ends_with(running := session.conf.get(name, "nothing"), value)
        ):
            raise StudyError(
                f"{place}: expected {name} to be {value}, got a Spark that this process started"
                f" with {running}; start a new process for it"
            )
    return session


def _ends_with(running: str, wanted: str) -> bool:
    """The package puts words of its own before the options of Java."""
    return running == wanted or running.endswith(f" {wanted}")


def _find_running(place: str) -> Any | None:
    """Return a session that runs already: the package's own, or one that came with the process."""
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise StudyError(
            f"{place}: expected pyspark for the engine spark, which is not installed; install it"
            " with 'pip install research[spark]'"
        ) from None
    _LAUNCHED[:] = [
        session for session in _LAUNCHED if session.sparkContext._jsc is not None
    ]  # a stopped context has none
    return _LAUNCHED[0] if _LAUNCHED else SparkSession.getActiveSession()


def _launch(options: dict[str, str], place: str) -> Any:
    """Start Spark; what it and Java say goes into a file of a folder that is removed with the
    process.
    """
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    _require_java(place)
    logging.getLogger(
        "SQLQueryContextLogger"
    ).disabled = True  # it would print every error that is raised anyway
    scratch = Path(tempfile.mkdtemp(prefix="research-spark-"))
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    java = f"-Dderby.system.home={scratch} -Djava.io.tmpdir={scratch} {options.get(JAVA_OPTIONS, '')}".strip()
    places = {
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.local.dir": str(scratch),
    }  # else in the user's folder
    conf = SparkConf(loadDefaults=False).setAll((places | options | {JAVA_OPTIONS: java}).items())
    with (scratch / "log").open("wb") as log:
        try:
            gateway = launch_gateway(conf, {"stdout": log, "stderr": log})
            session = SparkSession(
                SparkContext(
                    gateway=gateway, conf=SparkConf(_jvm=gateway.jvm).setAll(conf.getAll())
                )
            )
        except (
            *list_errors(),
            OSError,
        ) as error:  # a wrong master or option, no port, no memory, no Java that runs
            raise StudyError(
                f"{place}: expected a Spark that starts, got"
                f" {_last_line(scratch / 'log') or say(error)}; correct master and options"
            ) from None
    atexit.register(session.stop)
    _LAUNCHED.append(session)
    return session


def _require_java(place: str) -> None:
    """A gateway that exists already, as under spark-submit, has its Java."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if found is None and "PYSPARK_GATEWAY_PORT" not in os.environ:
        where = f"JAVA_HOME {home}" if home else "the PATH"
        raise StudyError(
            f"{place}: expected Java 17 or later for the engine spark, found none on {where};"
            " install a Java runtime or set JAVA_HOME"
        )


def _last_line(log: Path) -> str:
    lines = [
        line
        for line in log.read_text(errors="replace").splitlines()
        if re.search(r"error|exception", line, re.IGNORECASE)
    ]
    return " ".join(lines[0].split())[:300] if lines else ""


def name_path(path: Path) -> str:
    """Return a local file's name as Spark reads it, whatever its default file system and whatever
    wildcards the name holds.
    """
    return "file://" + re.sub(r"([\\*?\[\]{}])", r"\\\1", str(path))


def list_errors() -> tuple[type[Exception], ...]:
    """Return what Spark raises: errors of its own, and those of the bridge to Java."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    return PySparkException, Py4JError


def say(error: Exception) -> str:
    """Return the first line of what Spark says."""
    text = getattr(error, "getMessage", lambda: None)() or str(error)
    return " ".join(text.strip().splitlines()[0].split()) if text.strip() else type(error).__name__

"""A real Flink, put together from the package registries.

PyPI carries a whole Flink in two wheels (`apache-flink` has the scripts and the configuration, `apache-flink-libraries`
the jars). One jar that the SQL client needs is missing there and comes from Maven Central.
"""

import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

from cache import build_once
from commands import run
from failure import Failure

VERSION = "2.2.0"
SQL_GATEWAY = f"org.apache.flink:flink-sql-gateway:{VERSION}"
# Only scripts are taken from this wheel, so one build of it serves every machine and every Python.
SCRIPTS_WHEEL = (
    "--only-binary=:all:",
    "--platform=manylinux2014_x86_64",
    "--python-version=3.11",
    "--implementation=cp",
)
LIBRARIES_WHEEL = ("--only-binary=:all:",)
JAVA_OLDEST = 17


def check_java():
    """Returns the path of a Java that is new enough, or says what to install."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if not java:
        raise Failure(
            "Java is missing: install a JDK 17 (Debian and Ubuntu: `apt install openjdk-17-jdk-headless`)"
        )
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    except OSError:
        raise Failure(f"JAVA_HOME={home} has no bin/java: set it to a JDK 17 or unset it") from None
    found = re.search(r'version "(\d+)', answer.stderr + answer.stdout)
    if not found or int(found.group(1)) < JAVA_OLDEST:
        seen = found.group(1) if found else "unknown"
        raise Failure(f"Java {seen} is too old: install a JDK {JAVA_OLDEST} and make it the default `java`")
    if not shutil.which("javac") and not (home and (Path(home) / "bin" / "javac").exists()):
        raise Failure(
            "this Java has no compiler: install a JDK (Debian and Ubuntu: `apt install openjdk-17-jdk-headless`)"
        )
    return java


def check_maven():
    """Returns the path of Maven, or says what to install."""
    maven = shutil.which("mvn")
    if not maven:
        raise Failure("Maven is missing: install it (Debian and Ubuntu: `apt install maven`)")
    return maven


def distribution(cache, step):
    """The home folder of an unpacked Flink, fetched at the first call."""
    return build_once(cache.folder / f"flink-{VERSION}", lambda folder: _unpack(cache, folder, step))


def _unpack(cache, folder, step):
    for requirement, options in (
        (f"apache-flink=={VERSION}", SCRIPTS_WHEEL),
        (f"apache-flink-libraries=={VERSION}", LIBRARIES_WHEEL),
    ):
        with zipfile.ZipFile(cache.download(requirement, step, options)) as wheel:
            step.update(f"unpacking {requirement}")
            for name in wheel.namelist():
                part = name.removeprefix("pyflink/")
                if part.split("/")[0] in ("bin", "conf", "lib", "opt", "plugins") and not name.endswith("/"):
                    _extract(wheel, name, folder / part)
    for script in (folder / "bin").iterdir():
        script.chmod(0o755)
    _fetch_sql_gateway(folder / "opt", step)
    if not list((folder / "lib").glob("flink-dist-*.jar")):
        raise Failure("the wheels from PyPI do not hold a Flink distribution: flink-dist is missing")


def _extract(archive, name, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(name) as source, open(target, "wb") as out:
        shutil.copyfileobj(source, out, 1 << 20)


def _fetch_sql_gateway(folder, step):
    step.update("flink-sql-gateway from Maven Central")
    maven = check_maven()
    run(
        [maven, "-q", "-B", "dependency:get", f"-Dartifact={SQL_GATEWAY}", "-Dtransitive=false"],
        "fetching flink-sql-gateway from Maven Central",
    )
    run(
        [maven, "-q", "-B", "dependency:copy", f"-Dartifact={SQL_GATEWAY}", f"-DoutputDirectory={folder}"],
        "copying flink-sql-gateway into the distribution",
    )
    if not list(folder.glob("flink-sql-gateway-*.jar")):
        raise Failure("Maven did not deliver flink-sql-gateway")

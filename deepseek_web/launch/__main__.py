"""`python -m deepseek_web.launch run|stop|process NAME|health`; VAR, PORT and HOST come from the environment."""

import argparse
import os
import sys

from deepseek_web.launch.errors import LaunchError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deepseek_web.launch", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="start everything and follow its logs")
    commands.add_parser("stop", help="end what another terminal runs")
    commands.add_parser("process", help="become one process of the Procfile").add_argument("name")
    commands.add_parser("health", help="whether the pages are served (for a container)")
    options = parser.parse_args()
    if options.command == "health":
        from deepseek_web.launch.address import Address

        return 0 if Address.from_environment().answers("/healthz") else 1
    from deepseek_web.launch.folders import Folders

    if options.command == "process":
        from deepseek_web.launch.procfile import become

        become(options.name)
    folders = Folders.at(os.environ.get("VAR") or "var")
    if options.command == "stop":
        from deepseek_web.launch.stop import stop

        return stop(folders)
    from deepseek_web.launch.run import run

    return run(folders)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LaunchError as error:
        sys.exit(f"\n{error}")

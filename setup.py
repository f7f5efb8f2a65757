"""Puts gin/, which lies beside the package, into it when a wheel is built.

Everything else is in setup.cfg. In a repository the files are found where they
are, so an editable installation needs no copy.
"""

import pathlib
import shutil

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithGin(build_py):
    """Builds the package, and copies gin/ to tf_lottery/gin."""

    def run(self):
        """Copies what Python files there are, and gin/."""
        super().run()
        if not self.editable_mode:
            target = pathlib.Path(self.build_lib, "tf_lottery", "gin")
            shutil.copytree("gin", target, dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithGin})

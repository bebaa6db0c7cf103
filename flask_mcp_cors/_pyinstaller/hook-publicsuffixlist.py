"""Collect the public suffix list, a data file that wildcard origins are checked against."""

from importlib.resources import files

datas = [(str(files("publicsuffixlist") / "public_suffix_list.dat"), "publicsuffixlist")]

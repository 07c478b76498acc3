"""test_plugin_unit.py is for unittest, in an interpreter of its own: test_real_sos.py runs it."""

collect_ignore = ["test_plugin_unit.py"]

"""Small runs that tests and benchmarks share; benchmarks import nothing else from tests but tests.servers.

`site` starts them as processes, with the settings of `settings` and the faults of `planted/`; `whole` checks
a finished run. `untrained` and `no_training` search without training; `synthetic` writes the files of a run
of any size. `leak_search`, `random_methods` and `chromium` hold what the tests of single rooms share.
"""

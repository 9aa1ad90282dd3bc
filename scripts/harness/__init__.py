# SPDX-License-Identifier: GPL-2.0
"""Build, boot and judge the kernel.

paths        where things are           cli          what a person sees
settings     numbers that a person sets stream       follow a child's output
console      a guest's console, cleaned rules        what may not be printed
ktap         the kernel's test results  kernel       variants and their builds
machines     the table of boots         boot         run one machine
guests       what a dom0 with guests boots
memmap       a Xen with another memory map
ram          memory of a machine        acpi_wake    wake one that sleeps
checks       linters                    links        of the manuals
coverage_map tests that it names        docs         manuals as HTML, and rustdoc
analyzer     a file for editors         series       what goes into which patch
strip_tests  files without their tests  patches      the series as files, checked
series_boot  the series built, booted   load_script  a script as a module
cargo        run cargo                  host         host tests, types, soak
coverage     what they reach            fuzz         the fuzz targets
mutants      bugs that they must catch  schemata     all of them in one program
mutant_run   run the tests for one      test_plan    everything, in order
counter      the plugin that counts     measure      a boot whose clock counts instructions
report       figures: table, JSON       chart        figures: a picture
bench        sides beside each other    profiler     one operation, by function
"""

# SPDX-License-Identifier: GPL-2.0-only
"""Run a machine and judge its console.

machines  the table of boots          boot      run one machine
console   a console, cleaned          rules     what must not be printed
ktap      the kernel's test results   guests    what a dom0 with guests boots
memmap    a Xen with another memory map
ram       memory of a machine         acpi_wake wake one that sleeps
"""

# SPDX-License-Identifier: GPL-2.0-only
"""A machine that sleeps is woken up, once and not too early."""

import socket
import threading
import time
import unittest
from unittest import mock

from harness.boot import acpi_wake


class Wakes(unittest.TestCase):
    def setUp(self):
        self.waker = acpi_wake.Waker()
        self.addCleanup(self.waker.close)
        self.heard = []
        monitor = socket.socket(socket.AF_UNIX)
        monitor.bind(self.waker.options[1].removeprefix("unix:").partition(",")[0])
        monitor.listen()
        thread = threading.Thread(target=self.answer, args=(monitor,), daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(monitor.close)
        self.addCleanup(monitor.shutdown, socket.SHUT_RDWR)

    def answer(self, monitor: socket.socket):
        try:
            while True:
                peer, _ = monitor.accept()
                with peer:
                    peer.sendall(b"QEMU")
                    self.heard.append(peer.recv(100))
                    peer.sendall(b"(qemu)")
        except OSError:
            pass

    def at(self, seconds: float) -> int:
        """Advances the waker's clock; returns how often it has woken the machine."""
        with mock.patch.object(acpi_wake.time, "monotonic", return_value=time.monotonic() + seconds):
            self.waker.wake_if_due()
        return len(self.heard)

    def test_it_wakes_once_when_it_is_time(self):
        self.waker.read("(XEN) Entering ACPI S3 state.")
        self.assertEqual(self.at(1), 0)
        self.assertEqual(self.at(3), 1)
        self.assertEqual(self.at(9), 1)
        self.assertEqual(self.heard, [b"system_wakeup\n"])

    def test_a_machine_that_is_awake_is_left_alone(self):
        self.waker.read("(XEN) Entering ACPI S5 state.")
        self.assertEqual(self.at(9), 0)

# SPDX-FileCopyrightText: The OneHop authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sections 1.11 and 1.12: listening, notifications, signals, the readiness wrapper. Data only.

`request` names the scenario that the runner plays on real processes.
"""

from __future__ import annotations

from conformance_case import Case

STREAMS = "streams finish: nobody loses a request"
POLLER = "the service is the engine itself; a poller in ExecStartPost waits for it"


def _processes() -> list[Case]:
    return [
        Case("1.11", row, name, scenario, theirs, ours, why, says, old, how="scenario")
        for row, name, scenario, theirs, ours, why, says, old in [
            (1, "sockets of both kinds", "activation", "both served", "both served", "", "",
             "none"),
            (1, "no socket passed", "activation_of_none", "own port", "own port", "", "", "none"),
            (1, "fewer than none", "activation_negative", "refused", "refused", "",
             "LISTEN_FDS must not be negative", "none"),
            (1, "no number", "activation_no_number", "refused", "refused", "", "LISTEN_FDS: 'x'",
             "none"),
            (1, "no socket", "activation_no_socket", "refused", "refused", "",
             "socket 0 (file descriptor 3)", "none"),
            (1, "no listening socket", "activation_not_listening", "refused", "refused", "",
             "not a listening stream socket", "none"),
            (1, "another process's", "activation_of_another", "own port", "own port", "", "",
             "none"),
            (1, "their names", "activation_with_names", "ignored", "ignored", "", "", "none"),
            (2, "one port", "own_port", "served", "served", "", "", ""),
            (2, "a port that is taken", "taken_port", "1", "1", "", "cannot listen on 127.0.0.1",
             ""),
            (3, "line for each listener", "log_lines", "2", "2", "", "with 1 model(s)", "1"),
            (4, "ready", "ready_first", "READY=1", "READY=1", "", "", "none"),
            (4, "the rest", "other_notifications", "none", "STATUS STOPPING WATCHDOG",
             "systemd shows what we do, and restarts us when we hang", "", ""),
            (4, "nobody hears", "nobody_hears", "served", "served", "", "sd_notify: ", ""),
            (5, "SIGTERM in a stream", "sigterm_in_a_stream", "cut, -15", "whole, 0", STREAMS, "",
             ""),
            (5, "SIGINT in a stream", "sigint_in_a_stream", "cut, -2", "whole, 0", STREAMS, "",
             ""),
            (6, "SIGHUP", "sighup", "ends", "reloads",
             "the table is swapped in place while streams run on", "", ""),
            (7, "a listener that fails", "failing_listener", "1", "1", "", "", ""),
        ]
    ]  # fmt: skip


def _readiness() -> list[Case]:
    return [
        Case("1.12", row, name, scenario, theirs, ours, why, old="none", how="scenario")
        for row, name, scenario, theirs, ours, why in [
            (1, "503, 503, 200", "ready_after_three", "3 probes", "3 probes", ""),
            (2, "302, 200", "ready_after_redirect", "2 probes", "2 probes", ""),
            (3, "says so", "ready_is_said", "READY=1, once", "0, once", POLLER),
            (4, "status of a child that ends well", "child_status", "the child's", "1",
             POLLER + "; systemd sees the engine's own status"),
            (5, "a server that dies while it loads", "dies_while_loading", "ends at once",
             "ends at once", ""),
            (6, "a server on a unix socket", "ready_on_unix", "1 probe", "1 probe", ""),
            (7, "wrong use", "wrong_use", "1", "2", "2 is wrong use everywhere"),
            (8, "after it is ready", "no_probe_after_ready", "no probe", "no probe", ""),
        ]
    ]  # fmt: skip


CASES = [*_processes(), *_readiness()]

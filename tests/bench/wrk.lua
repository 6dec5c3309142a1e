-- SPDX-FileCopyrightText: The OneHop authors
-- SPDX-License-Identifier: GPL-3.0-or-later
--
-- What wrk saw, as one line of JSON that tests/bench/wrk.py reads.
function done(summary, latency, requests)
   local failed = summary.errors.connect + summary.errors.read + summary.errors.write
      + summary.errors.status + summary.errors.timeout
   io.write(string.format('{"requests": %d, "failed": %d, "p50 us": %.1f, "p99 us": %.1f}\n',
      summary.requests, failed, latency:percentile(50), latency:percentile(99)))
end

"""What a pod's page says of its requests, whatever library wrote it."""

import pytest

from webhook.counters.reading import COUNTERS, Reading, read

PROMETHEUS = """\
# HELP http_requests_total Requests.
# TYPE http_requests_total counter
http_requests_total{code="200",method="GET"} 12
http_requests_total{code="500",method="GET"} 3
# TYPE go_goroutines gauge
go_goroutines 8
"""
SPRING = """\
# TYPE http_server_requests_seconds summary
http_server_requests_seconds_count{method="GET",status="200",uri="/orders/{id}"} 40
http_server_requests_seconds_sum{method="GET",status="200",uri="/orders/{id}"} 1.5
http_server_requests_seconds_count{method="GET",status="200",uri="/actuator/health"} 900
http_server_requests_seconds_count{method="GET",status="200",uri="/actuator/prometheus"} 90
"""


def test_requests_are_summed_over_codes_and_methods() -> None:
    """Errors are answers, too. Without paths, probes may be among them."""
    assert read(PROMETHEUS) == Reading(15, clean=False)


def test_probes_and_scrapes_are_left_out_where_paths_tell_them_apart() -> None:
    """Micrometer, as Spring Boot writes it: 40 orders, and 990 requests of nobody."""
    assert read(SPRING) == Reading(40, clean=True)


@pytest.mark.parametrize("name", COUNTERS)
def test_the_counters_of_the_usual_libraries_are_known(name: str) -> None:
    """Plain, or the count of a histogram; nothing else of a page is read."""
    page = f'{name}_created 1.7e9\nbroken{{ line\n{name}{{path="/a"}} 7\n{name}{{path="/b"}} 1\n'
    assert read(page) == Reading(8, clean=True)


def test_a_page_without_such_a_counter_says_nothing() -> None:
    """That is not the same as no requests."""
    assert read("# TYPE up gauge\nup 1\n") is None
    assert read("") is None


def test_a_page_that_is_no_metrics_is_refused() -> None:
    """A ValueError, which the scrape takes for no answer."""
    with pytest.raises(ValueError, match="could not convert"):
        read("http_requests_total lots\n")


@pytest.mark.parametrize(
    "path",
    ["/healthz", "/health", "/livez", "/ready", "/readyz/db", "/metrics", "/ping", "/-/ready"],
)
def test_the_usual_paths_of_probes_are_nobodys_requests(path: str) -> None:
    """And only those: what merely ends like one is a user's."""
    assert read(f'http_requests_total{{path="{path}"}} 5\n') == Reading(0, clean=True)
    assert read(f'http_requests_total{{path="/shop{path}"}} 5\n') == Reading(5, clean=True)

"""Which URLs the allow-list of ``http`` allows."""

import pytest
from yarl import URL

from agent.handlers.target import Target, find_target, reason_against, wrong_pattern


@pytest.mark.parametrize(
    ("pattern", "url", "allowed"),
    [
        ("https://erp.example/*", "https://erp.example/a/b?c=d", True),
        ("https://erp.example/*", "https://ERP.example:443", True),
        ("https://erp.example/*", "https://erp.example:444/", False),
        ("https://erp.example/*", "http://erp.example/", False),
        ("https://erp.example/*", "https://erp.example.evil/", False),
        ("https://erp.example/*", "https://evil/erp.example/", False),
        ("https://erp.example/*", "https://erp.example@evil/", False),
        ("https://erp.example/*", "https://user:pw@erp.example/", False),
        ("https://erp.example/*", "ftp://erp.example/", False),
        ("https://erp.example/*", "/a", False),
        ("https://erp.example/api/*", "https://erp.example/api/a", True),
        ("https://erp.example/api/*", "https://erp.example/api", False),
        ("https://erp.example/api/*", "https://erp.example/api/../admin", False),
        ("https://erp.example/api/*", "https://erp.example/api/%2e%2e/admin", False),
        ("https://erp.example/api/*", "https://erp.example/api/%252e%252e/admin", False),
        ("https://erp.example/api/*", "https://erp.example/api/..%2fadmin", False),
        ("https://erp.example/api/*", "https://erp.example/api/..%5cadmin", False),
        ("https://erp.example/hook", "https://erp.example/hook", True),
        ("https://erp.example/hook", "https://erp.example/hook?a=b", False),
        ("https://erp.example/hook?a=*", "https://erp.example/hook?a=b", True),
        ("http://[::1]:8080/*", "http://[::1]:8080/x", True),
    ],
)
def test_a_url_is_allowed_if_a_pattern_says_so(pattern: str, url: str, allowed: bool) -> None:
    assert wrong_pattern(pattern) is None
    one = Target(pattern)
    found = None if reason_against(URL(url)) else find_target([Target("http://x/"), one], URL(url))
    assert (found is one) is allowed


@pytest.mark.parametrize(
    "pattern",
    [
        "*",
        "https://*",
        "https://erp.example*",
        "https://*.example/*",
        "erp.example/*",
        "ftp://a/*",
        "https://a/*/b",
        "https://a/**",
        "https://u:p@a/*",
        "http://[::1/*",
        "https://a/../*",
    ],
)
def test_a_pattern_that_could_mean_more_than_it_says_is_refused(pattern: str) -> None:
    assert wrong_pattern(pattern)

"""What people do in a browser, they do here as in the tests of the browser."""

from tests.browser.conftest import log_in, looks, mails, page

__all__ = ["log_in", "looks", "mails", "page"]

"""Where webhooks may go."""

import pytest

from sagas.webhooks.addresses import Target, UnfitAddress, is_public, resolve, target

PUBLIC = ("93.184.216.34", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1")
OTHERS = (
    *(
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",  # noqa: S104 - nobody listens there
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
    ),
    *("100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1"),
    *(
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd12::1",
        "fec0::1",
        "ff02::1",
    ),
    *("2001:db8::1", "100::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1"),
    *("64:ff9b::10.0.0.1", "64:ff9b:1::1", "2002:7f00:1::1", "2002:a00:1::1", "2001:0:4136:e378:8000:63bf:f5ff:fffe"),
)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_is_fit(address):
    assert is_public(address)


@pytest.mark.parametrize("address", OTHERS)
def test_what_is_private_reserved_or_leads_there_is_not(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        *("http://hooks.example/", "ftp://hooks.example/", "https:///hook", "https://", "hooks.example", ""),
        *("https://user@hooks.example/", "https://user:word@hooks.example/", "https://hooks.example/#part"),
        *("https://127.0.0.1/", "https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://169.254.169.254/latest"),
        *("https://hooks.example:0/", "https://hooks.example:99999/", "https://hooks.example:x/", "https://[::1/"),
        *("https://hooks.example/ x", "https://hooks.example/\r\nX: y", "https://hööks.example/", "https://a\\b/"),
    ],
)
def test_such_a_url_is_refused(url):
    with pytest.raises(UnfitAddress):
        target(url)


def test_what_a_url_says_is_taken_as_it_stands():
    assert target("https://hooks.example") == Target("hooks.example", 443, "/", tls=True)
    assert target("https://hooks.example:8443/a/b?c=d") == Target("hooks.example", 8443, "/a/b?c=d", tls=True)


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1"])
def test_a_name_that_leads_to_this_machine_is_refused_however_it_is_written(host):
    with pytest.raises(UnfitAddress):
        resolve(Target(host, 443, "/", tls=True))


def test_where_the_installation_says_so_it_may_go_anywhere(settings):
    settings.WEBHOOKS_TO_PRIVATE_ADDRESSES = True
    assert target("http://127.0.0.1:8000/hook") == Target("127.0.0.1", 8000, "/hook", tls=False)
    assert resolve(Target("127.0.0.1", 80, "/", tls=False)) == "127.0.0.1"

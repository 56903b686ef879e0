"""From the outbox to real peers: in order, by the next channel where one fails, each with the same key."""

from __future__ import annotations

import logging

import pytest

from support_waiting import eventually


def outcomes(world, id) -> list[tuple[str, str]]:
    return [(one.channel, one.outcome) for one in world.attempts(id)]


def test_what_is_put_arrives_once_in_order_and_soon(world) -> None:
    ids = [world.put(f"number {n}\nmore of it") for n in range(20)]
    with world.notifier(), world.notifier():
        last = world.ended(ids[-1])
    assert [text.split("\n")[0] for text in world.slack.subjects()] == [f"number {n}" for n in range(20)]
    assert [one.key for one in world.slack.taken] == [str(id) for id in ids]
    assert last.delivered_by == "slack" and last.took_seconds is not None
    assert outcomes(world, ids[0]) == [("slack", "delivered")]
    assert not world.mail.taken and not world.sms.taken


def test_the_message_id_is_the_same_however_often_a_letter_is_sent(world) -> None:
    world.configure("mail")
    id = world.put("hello")
    with world.notifier():
        world.ended(id)
        with world.db.tenant(world.tenant) as connection:  # as a crash between sending and settling leaves it
            connection.execute(
                "update notifications set state = 'waiting', ended_at = null, delivered_by = null where id = %s", [id]
            )
        eventually(lambda: len(world.mail.taken) == 2)
    assert {one.key for one in world.mail.taken} == {f"<{id}@notify.prodsprints>"}


@pytest.mark.parametrize(
    ("status", "body", "headers", "outcome", "words"),
    [
        (500, None, {}, "failed", "it answered 500"),
        (429, None, {"Retry-After": "30"}, "failed", "throttled (429): it asks to wait 30"),
        (429, None, {"Retry-After": "soon"}, "failed", "throttled (429)"),
        (404, b"no_service", {}, "refused", "it answered 404: it will not take this"),
        (200, b'{"ok": false, "error": "invalid_auth"}', {}, "failed", "it answered 200, but not ok: invalid_auth"),
        (200, b"<html>Log in</html>", {}, "failed", "it answered 200, but not ok"),
        (302, None, {"Location": "https://example.com/"}, "failed", "it answered 302"),
    ],
)
def test_where_slack_does_not_take_it_mail_does(world, status, body, headers, outcome, words) -> None:
    world.slack.status, world.slack.body, world.slack.headers = status, body, headers
    with world.notifier():
        ended = world.ended(world.put("hello"))
    assert ended.delivered_by == "mail"
    slack, mail = world.attempts(ended.id)
    assert (slack.outcome, mail.outcome) == (outcome, "delivered") and words in slack.words


def test_a_refusal_for_good_is_not_asked_again_and_with_all_of_them_it_is_dead(world) -> None:
    world.configure("sms", "mail")
    world.sms.status, world.mail.refusing = 400, "550 no such user"
    id = world.put("hello")
    with world.notifier():
        assert world.ended(id).state == "dead"
    assert outcomes(world, id) == [("sms", "refused"), ("mail", "refused")]
    assert world.sms.asked == 1 and "Every channel refused it" in world.get(id).reason


def test_what_is_refused_for_now_is_tried_again(world) -> None:
    world.configure("mail", "sms")
    world.mail.refusing, world.sms.status = "451 try again later", 400
    id = world.put("hello")
    with world.notifier():
        eventually(lambda: world.get(id).rounds == 1)
        assert world.get(id).state == "waiting"
        world.mail.refusing = ""
        assert world.ended(id).delivered_by == "mail"
    assert outcomes(world, id) == [("mail", "failed"), ("sms", "refused"), ("mail", "delivered")]


def test_a_server_that_took_the_letter_and_then_says_nothing_has_taken_it(world) -> None:
    world.configure("mail", "sms")
    world.mail.silent_after = True
    with world.notifier():
        assert world.ended(world.put("hello")).delivered_by == "mail"
    assert not world.sms.taken


def test_a_dead_channel_is_skipped_at_once_and_no_secret_is_told(world, caplog: pytest.LogCaptureFixture) -> None:
    world.slack.status = 500
    with caplog.at_level(logging.DEBUG), world.notifier():
        for _ in range(3):
            last = world.ended(world.put("hello"))
    slack, mail = world.attempts(last.id)
    assert (slack.outcome, mail.outcome) == ("skipped", "delivered") and world.slack.asked == 2
    told = [caplog.text, *(one.words for one in world.attempts(last.id)), world.get(last.id).reason]
    assert not [text for text in told if "topsecret" in text]


def test_one_audience_waits_for_no_other(world) -> None:
    world.slack.status = 500
    world.configure("slack")
    first = world.put("stuck")
    with world.notifier():
        eventually(lambda: world.get(first).rounds)
        second = world.put("behind it")
        assert world.ended(world.put("other", "#security")).delivered_by == "terminal"
        assert world.get(second).rounds == 0
        world.slack.status = 200
        world.ended(second)
    assert [text.split("\n")[0] for text in world.slack.subjects()] == ["stuck", "behind it"]


def test_an_audience_that_is_known_no_longer_waits_until_it_is(world) -> None:
    id = world.put("hello", "#gone")
    with world.notifier():
        eventually(lambda: world.get(id).rounds)
        assert "Nobody is known as #gone" in world.get(id).reason
        world.configure("slack", audience="#gone")
        assert world.ended(id).delivered_by == "slack"


def test_mentions_and_links_in_a_text_are_text_in_slack(world) -> None:
    with world.notifier():
        world.ended(world.put("<!channel> & <https://example.com|x>"))
    assert world.slack.subjects()[0].startswith("&lt;!channel&gt; &amp; &lt;https")


def test_a_long_text_fits_into_a_text_message(world) -> None:
    world.configure("sms")
    with world.notifier():
        world.ended(world.put("long " * 700))
    assert len(world.sms.subjects()[0]) <= 1_600


def test_apprise_brings_it_to_what_only_apprise_knows(world) -> None:
    world.configure("slack")
    path = world.settings.home / "notify.yaml"
    path.write_text(
        "version: 1\nchannels:\n  any: {kind: apprise, url_file: any-url}\naudiences:\n  '#ops': [any, page]\n"
    )
    url = world.settings.home / "any-url"
    url.write_text(f"json://127.0.0.1:{world.slack.port}/")
    url.chmod(0o600)
    world.slack.body = b"fine"
    with world.notifier():
        assert world.ended(world.put("hello")).delivered_by == "any"
        world.slack.status = 500
        assert world.ended(world.put("hello")).delivered_by == "page"


def test_several_recipients_are_one_delivery_and_each_has_a_key_of_its_own(world) -> None:
    world.configure("sms")
    path = world.settings.home / "notify.yaml"
    path.write_text(path.read_text().replace('["+4915100001"]', '["+4915100001", "+4915100002"]'))
    id = world.put("hello")
    with world.notifier():
        world.ended(id)
    assert [one.key for one in world.sms.taken] == [f"{id}/+491510000{n}" for n in (1, 2)]
    assert world.attempts(id)[0].words == "taken for 2 of 2 numbers"


def test_a_lane_with_much_to_tell_lets_the_others_have_their_turn(world) -> None:
    world.configure("slack")
    path = world.settings.home / "notify.yaml"
    path.write_text(path.read_text() + "".join(f"  '#other-{n}': [slack]\n" for n in range(6)))
    many = [world.put(f"number {n}") for n in range(70)]
    others = [world.put("hello", f"#other-{n}") for n in range(6)]
    with world.notifier():
        for id in (*others, *many):
            assert world.ended(id).delivered_by == "slack"
    told = [text.split(" (")[0].split("\n")[0] for text in world.slack.subjects()]
    assert [text for text in told if text != "hello"] == [f"number {n}" for n in range(70)]


def test_a_lane_whose_file_was_broken_is_given_back_and_taken_again(world, caplog: pytest.LogCaptureFixture) -> None:
    (world.settings.home / "notify.yaml").write_text("version: 7\n")
    id = world.put("hello")
    with world.notifier():
        eventually(lambda: "notifications to #ops wait" in caplog.text)
        world.configure("slack")
        assert world.ended(id).delivered_by == "slack"

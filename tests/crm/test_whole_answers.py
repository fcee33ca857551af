"""Answers reach the server as a list where they are whole, and are closed; streams stay streams."""

from django.http import HttpResponse, StreamingHttpResponse

from crm.whole_answers import WholeAnswers


def told(answer):
    closed = []
    answer._resource_closers.append(lambda: closed.append(True))
    return WholeAnswers(lambda environ, start: answer)({}, lambda *args: None), closed


def test_a_whole_answer_is_a_list_and_closed():
    assert told(HttpResponse(b"Karibu")) == ([b"Karibu"], [True])


def test_a_stream_is_handed_on_as_it_is_for_the_server_to_close():
    stream = StreamingHttpResponse([b"a", b"b"])
    assert told(stream) == (stream, [])

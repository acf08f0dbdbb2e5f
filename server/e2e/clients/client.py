"""Asks a running server with the client generated from the protos."""

import sys
import uuid

import grpc

from attune.v1 import event_service_pb2 as events
from attune.v1 import event_service_pb2_grpc as event_service
from attune.v1 import recommendation_service_pb2 as recommendations
from attune.v1 import recommendation_service_pb2_grpc as recommendation_service


def main(address: str, user: str, item: str) -> None:
    with grpc.insecure_channel(address) as channel:
        recommend = recommendation_service.RecommendationServiceStub(channel)
        collect = event_service.EventServiceStub(channel)

        answer = recommend.Recommend(recommendations.RecommendRequest(user=user, limit=5), timeout=10)
        assert answer.recommendation_id and answer.release, answer
        assert 0 < len(answer.items) <= 5, answer
        assert all(i.reason.text for i in answer.items if i.reason.kind), answer
        more = recommend.Recommend(
            recommendations.RecommendRequest(user=user, limit=5, page_token=answer.next_page_token), timeout=10)
        assert not {i.item for i in answer.items} & {i.item for i in more.items}, (answer, more)

        session = uuid.uuid4().hex
        before = recommend.Recommend(recommendations.RecommendRequest(session=session), timeout=10)
        view = events.Event(type=events.EVENT_TYPE_VIEW, session=session, item=item, recommendation_id=answer.recommendation_id)
        stored = collect.Collect(events.CollectRequest(event=view), timeout=10)
        assert stored.sequence > 0 and not stored.duplicate, stored
        after = recommend.Recommend(recommendations.RecommendRequest(session=session), timeout=10)
        assert [(i.item, i.score) for i in before.items] != [(i.item, i.score) for i in after.items], after

        streamed = collect.CollectStream(
            (events.CollectStreamRequest(event=view) for _ in range(1000)), timeout=60)
        assert streamed.accepted == 1000, streamed

        try:
            recommend.Recommend(recommendations.RecommendRequest(limit=500), timeout=10)
        except grpc.RpcError as e:
            assert e.code() == grpc.StatusCode.INVALID_ARGUMENT and "limit" in e.details(), e
        else:
            raise AssertionError("a limit of 500 was taken")
    print("python: all calls answered as they should")


if __name__ == "__main__":
    main(*sys.argv[1:])

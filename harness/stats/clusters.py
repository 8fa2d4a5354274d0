"""Which instances belong together: those that show the same, and those that share their policy.

An instance shows its images, or the scene that it describes in words.

Their scores are related, so n of them are less evidence than n independent instances. Images are always
regarded as a sample. Policies are too if there are at least MIN_POLICIES. Fewer cannot show how much policies
differ, and no difference between two models could be significant: five differences have the same sign by
chance with p = 2/32. Fewer policies are therefore fixed, and the figures hold for these policies only.
"""

from collections.abc import Hashable, Iterable

from harness.records import Cluster, Instance
from harness.stats.intervals import Clusters

MIN_POLICIES = 6


def cluster(instance: Instance) -> Cluster:
    """What an instance shares with others.

    It is the same under all variants, because each replacement is made from one policy and so groups the
    instances in the same way.
    """
    images = "\n".join(part.value for part in instance.query if part.kind == "image")
    return Cluster(images or str(instance.facts.get("scene", "")), instance.policy_id or "")


def clusters(members: Iterable[Cluster]) -> Clusters:
    """The labels of these instances by image, and by policy if there are enough policies.

    An instance that shows nothing, or has no policy, is a cluster of its own.
    """
    members = list(members)
    by_image: list[Hashable] = [member.images or index for index, member in enumerate(members)]
    by_policy: list[Hashable] = [member.policy or index for index, member in enumerate(members)]
    return [by_image, by_policy] if len(set(by_policy)) >= MIN_POLICIES else [by_image]

"""Claims: each becomes a folder of the node, and goes with all that was written into it."""

import pytest

from tests.waiting import wait_until

pytestmark = pytest.mark.engine

CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: seats}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: writer}
spec:
  terminationGracePeriodSeconds: 0
  restartPolicy: Never
  securityContext: {runAsUser: 1000}
  containers:
  - name: writer
    image: busybox:1.37
    command: [sh, -c, "echo C4 >/seats/sold"]
    volumeMounts: [{name: seats, mountPath: /seats}]
  volumes: [{name: seats, persistentVolumeClaim: {claimName: seats}}]
"""


def test_a_claim_gets_a_folder_that_goes_with_it(node, namespace):
    namespace.apply({"k8s/all.yaml": CLAIM.encode()})
    wait_until(lambda: namespace.get("pods", "writer")["status"].get("phase") == "Succeeded")
    claim = namespace.get("persistentvolumeclaims", "seats")
    assert claim["spec"]["storageClassName"] == "local"
    volume = node.api().get("persistentvolumes", claim["spec"]["volumeName"])
    folder = volume["spec"]["hostPath"]["path"]
    assert node.read(f"{folder}/sold") == b"C4\n"

    namespace.delete("pods", "writer")
    namespace.delete("persistentvolumeclaims", "seats")
    name = volume["metadata"]["name"]
    # The object goes last, after the folder.
    wait_until(
        lambda: name not in {v["metadata"]["name"] for v in node.api().list("persistentvolumes")}
    )
    assert node.run_as("0", ["test", "-e", folder])[0] == 1

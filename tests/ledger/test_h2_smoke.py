import json
from prodsprints.ledger import bundle, rotation
from prodsprints.ledger.keys import Role, Keys
from prodsprints.ledger.verification import verify_log
def test_smoke(sequenced, ledger, says, sequencer, keyring, witness, tenant, database):
    l = sequenced(600)
    es = l.entries(limit=10000)
    assert [e.index for e in es] == list(range(601))
    r = verify_log(database, tenant, keyring, witness)
    assert r.holds, r
    b = bundle.export(l)
    r = bundle.verify_bundle(b, keys=l.keys, checkpoint=l.checkpoint())
    assert r.holds and r.size == 601, r
    json.loads(b)
    b = bundle.export(l, indices=[3, 599])
    r = bundle.verify_bundle(b, keys=l.keys, checkpoint=l.checkpoint())
    assert r.holds and r.size == 2, r
    sequencer.start()
    for role in Role:
        rotation.rotate(database, tenant, keyring, role)
    l = sequenced(3)
    r = verify_log(database, tenant, keyring, witness)
    assert r.holds, r
    old = l.keys.keys[0]
    rotation.revoke(database, tenant, keyring, l.keys.current(Role.PLATFORM).id, from_index=604)
    sequenced(1)
    r = verify_log(database, tenant, keyring, witness)
    assert r.holds, r
    print(r, l.keys)
    sequencer.stop()

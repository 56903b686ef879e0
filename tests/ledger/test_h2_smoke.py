def test_smoke(sequenced, ledger, says, sequencer, keyring, witness, tenant):
    l = sequenced(600)
    es = l.entries(limit=10000)
    assert [e.index for e in es] == list(range(601))
    for i in (0,5,255,256,600): l.inclusion(i)
    for i in (1,255,256,257,601): l.consistency(i)
    assert witness.last(tenant).size == 601
    assert len(list(witness.all(tenant))) >= 150
    assert l.entry(300).index == 300

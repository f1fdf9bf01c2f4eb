"""Contract: a checkpoint's configuration comes out as plain containers, unresolved and bounded."""

from protein.checkpoint_files import golden_files, refused, save, weights

from domains.protein.checkpoint.proteina import read_checkpoint


def test_interpolations_stay_as_they_are(golden):
    raw = [
        value
        for path in golden_files(golden, "*.ckpt")
        for value in (read_checkpoint(path, lora_alpha=None).network or {}).values()
        if isinstance(value, str) and "${" in value
    ]
    assert raw


def test_plain_configuration_and_motif_flag_are_found(tmp_path):
    config = {
        "model": {
            "target_pred": "x_1",
            "nn": {"nlayers": 2, "dir": "${oc.env:A}/b", "l": [1, None]},
        },
        "training": {"motif_conditioning": True},
    }
    content = {"state_dict": weights(), "hyper_parameters": {"cfg_exp": config}}
    found = read_checkpoint(save(tmp_path / "a.ckpt", content))
    assert found.network == config["model"]["nn"]
    assert (found.target, found.motif, found.source_format) == ("x_1", True, "lightning")


def test_configuration_that_multiplies_is_an_error(tmp_path):
    node: dict = {}
    for _ in range(60):
        node = {"a": node, "b": node}
    loop: dict = {}
    loop["self"] = loop
    for network, message in ((node, "large"), (loop, "itself")):
        content = {
            "state_dict": weights(),
            "hyper_parameters": {"cfg_exp": {"model": {"nn": network}}},
        }
        refused(save(tmp_path / "a.ckpt", content), message)

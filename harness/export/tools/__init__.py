"""The export formats, one folder for each tool."""

from collections.abc import Mapping

from harness.export.format import Format
from harness.export.tools.easyr1 import EasyR1
from harness.export.tools.hub import Hub
from harness.export.tools.inspect import Inspect
from harness.export.tools.lm_eval import LmEval
from harness.export.tools.lmms_eval import LmmsEval
from harness.export.tools.ms_swift import MsSwift
from harness.export.tools.trl import Trl
from harness.export.tools.verifiers import Verifiers
from harness.export.tools.verl import Verl
from harness.request import FormatName

FORMATS: Mapping[FormatName, Format] = {
    "hub": Hub(),
    "verl": Verl(),
    "easyr1": EasyR1(),
    "ms-swift": MsSwift(),
    "trl": Trl(),
    "inspect": Inspect(),
    "lmms-eval": LmmsEval(),
    "lm-eval": LmEval(),
    "verifiers": Verifiers(),
}

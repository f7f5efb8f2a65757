"""All claims of all papers, in the order of the pages."""

from tf_lottery.report.claims import (
    frankle2019,
    frankle2019_appendices,
    frankle2019_convolutions,
    greydanus2024,
    zhou2019,
    zhou2019_table1,
)

CLAIMS = (
    *frankle2019.CLAIMS,
    *frankle2019_appendices.CLAIMS,
    *frankle2019_convolutions.CLAIMS,
    *zhou2019.CLAIMS,
    *zhou2019_table1.CLAIMS,
    *greydanus2024.CLAIMS,
)

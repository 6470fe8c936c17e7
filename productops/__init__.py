"""The product: releases, their judge, their traffic and their records. Imports no Prefect."""

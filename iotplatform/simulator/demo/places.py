"""The 40 sites of the demo fleet, in six regions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """One site."""

    tenant: str
    project: str
    slug: str
    name: str
    region: str
    country: str
    time_zone: str
    latitude: float
    longitude: float


def _places(tenant: str, project: str, region: str, rows: str) -> tuple[Place, ...]:
    places = []
    for row in rows.strip().splitlines():
        slug, name, country, zone, latitude, longitude = map(str.strip, row.split("|"))
        places.append(
            Place(
                tenant,
                project,
                slug,
                name,
                region,
                country,
                zone,
                float(latitude),
                float(longitude),
            )
        )
    return tuple(places)


EAST_CHINA = "East China"
PLACES: tuple[Place, ...] = (
    *_places(
        "acme",
        "cold-chain",
        EAST_CHINA,
        """
        shanghai-01 | Shanghai Pudong cold store | CN | Asia/Shanghai | 31.22 | 121.54
        shanghai-02 | Shanghai Jiading hub | CN | Asia/Shanghai | 31.38 | 121.25
        hangzhou-01 | Hangzhou Xiaoshan depot | CN | Asia/Shanghai | 30.18 | 120.26
        suzhou-01 | Suzhou industrial park | CN | Asia/Shanghai | 31.32 | 120.72
        nanjing-01 | Nanjing Jiangning depot | CN | Asia/Shanghai | 31.95 | 118.84
        ningbo-01 | Ningbo Beilun terminal | CN | Asia/Shanghai | 29.93 | 121.84
        hefei-01 | Hefei Shushan depot | CN | Asia/Shanghai | 31.85 | 117.26
        """,
    ),
    *_places(
        "acme",
        "cold-chain",
        "North China",
        """
        beijing-01 | Beijing Shunyi air hub | CN | Asia/Shanghai | 40.13 | 116.65
        beijing-02 | Beijing Daxing depot | CN | Asia/Shanghai | 39.73 | 116.34
        tianjin-01 | Tianjin Binhai terminal | CN | Asia/Shanghai | 39.02 | 117.71
        jinan-01 | Jinan Licheng depot | CN | Asia/Shanghai | 36.68 | 117.07
        qingdao-01 | Qingdao Huangdao terminal | CN | Asia/Shanghai | 35.96 | 120.20
        dalian-01 | Dalian Jinzhou cold store | CN | Asia/Shanghai | 39.10 | 121.72
        """,
    ),
    *_places(
        "acme",
        "cold-chain",
        "South-East Asia",
        """
        singapore-01 | Singapore Jurong hub | SG | Asia/Singapore | 1.33 | 103.71
        bangkok-01 | Bangkok Lat Krabang depot | TH | Asia/Bangkok | 13.73 | 100.78
        hanoi-01 | Hanoi Long Bien depot | VN | Asia/Ho_Chi_Minh | 21.05 | 105.89
        jakarta-01 | Jakarta Tanjung Priok store | ID | Asia/Jakarta | -6.11 | 106.88
        penang-01 | Penang Bayan Lepas plant | MY | Asia/Kuala_Lumpur | 5.30 | 100.27
        manila-01 | Manila Taguig depot | PH | Asia/Manila | 14.52 | 121.06
        """,
    ),
    *_places(
        "acme",
        "retail",
        "North America",
        """
        seattle-01 | Seattle Kent warehouse | US | America/Los_Angeles | 47.38 | -122.23
        fresno-01 | Fresno produce hall | US | America/Los_Angeles | 36.74 | -119.79
        denver-01 | Denver Commerce City depot | US | America/Denver | 39.81 | -104.93
        chicago-01 | Chicago Elk Grove hub | US | America/Chicago | 42.00 | -87.97
        houston-01 | Houston Katy warehouse | US | America/Chicago | 29.79 | -95.82
        toronto-01 | Toronto Mississauga depot | CA | America/Toronto | 43.59 | -79.64
        newark-01 | Newark port store | US | America/New_York | 40.69 | -74.15
        """,
    ),
    *_places(
        "globex",
        "metering",
        "Central Europe",
        """
        munich-01 | Munich Riem substation | DE | Europe/Berlin | 48.14 | 11.70
        munich-02 | Munich Sendling works | DE | Europe/Berlin | 48.11 | 11.54
        stuttgart-01 | Stuttgart Wangen works | DE | Europe/Berlin | 48.77 | 9.24
        frankfurt-01 | Frankfurt Höchst park | DE | Europe/Berlin | 50.09 | 8.54
        vienna-01 | Vienna Simmering substation | AT | Europe/Vienna | 48.18 | 16.43
        zurich-01 | Zürich Altstetten works | CH | Europe/Zurich | 47.39 | 8.48
        prague-01 | Prague Letňany works | CZ | Europe/Prague | 50.14 | 14.51
        """,
    ),
    *_places(
        "globex",
        "metering",
        "Northern Europe",
        """
        hamburg-01 | Hamburg Altona substation | DE | Europe/Berlin | 53.56 | 9.93
        copenhagen-01 | Copenhagen Avedøre | DK | Europe/Copenhagen | 55.61 | 12.46
        malmo-01 | Malmö harbour substation | SE | Europe/Stockholm | 55.62 | 13.00
        stockholm-01 | Stockholm Värtan works | SE | Europe/Stockholm | 59.35 | 18.10
        oslo-01 | Oslo Alnabru substation | NO | Europe/Oslo | 59.93 | 10.84
        helsinki-01 | Helsinki Vuosaari works | FI | Europe/Helsinki | 60.21 | 25.19
        tallinn-01 | Tallinn Iru works | EE | Europe/Tallinn | 59.46 | 24.91
        """,
    ),
)

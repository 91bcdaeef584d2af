"""Spam, made up with a seed: what sells bets, sex, papers and the like, in several tones and with hidden words."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from support.genres.kept import Maker, words

SITES = words("kk88 bet365x vip7788 hg0088 yl9999 ag6868 long8 sun77 ok5566 tt1122")
ENDS = words(".com .cc .net .vip .top .xyz")
CITIES = words("北京 上海 广州 深圳 杭州 成都 武汉 西安 南京 重庆 长沙 郑州 青岛 沈阳")


def account(rng: Random) -> str:
    return "".join(rng.choices("abcdefhkmnrstwxyz", k=rng.randint(2, 4))) + "".join(
        rng.choices("0123456789", k=rng.randint(3, 6))
    )


def mobile(rng: Random) -> str:
    return "1" + rng.choice("35789") + "".join(rng.choices("0123456789", k=9))


def contact(rng: Random) -> str:
    return rng.choice(
        [
            f"加微信：{account(rng)}",
            f"V信 {account(rng)}",
            f"薇信{account(rng)}",
            f"客服QQ：{rng.randint(10**8, 10**9)}",
            f"扣扣{rng.randint(10**7, 10**9)}",
            f"电话{mobile(rng)}",
            f"官网 www.{rng.choice(SITES)}{rng.choice(ENDS)}",
            f"Telegram：@{account(rng)}",
            f"微信同号{mobile(rng)}",
            f"咨询热线：400-{rng.randint(100, 999)}-{rng.randint(1000, 9999)}",
        ]
    )


def _filled(rng: Random, sentences: str, least: int, most: int, words: dict[str, str]) -> str:
    chosen = sentences.strip().split("\n")
    picked = rng.sample(chosen, min(len(chosen), rng.randint(least, most)))
    said = []
    for sentence in picked:
        for slot, choices in words.items():
            while f"<{slot}>" in sentence:
                sentence = sentence.replace(f"<{slot}>", rng.choice(choices.split()), 1)
        said.append(sentence.replace("<n>", str(rng.choice([8, 18, 28, 38, 58, 68, 88, 188, 888]))))
    return rng.choice(["", "\n", " "]).join(said)


GAMES = "时时彩 百家乐 北京赛车 快三 六合彩 棋牌 老虎机 捕鱼 龙虎斗 牛牛 体育投注 电竞投注 幸运飞艇 炸金花"
BETS = """
<game>平台注册送<n>元，首存再送<n>%，提款秒到账。
澳门正规<game>网站，真人荷官在线发牌，信誉第一。
<game>计划群免费跟单，导师带你回血上岸，稳赚不赔！
加入我们每天领取<n>元彩金，<game>、<game>、<game>应有尽有。
想玩<game>就来这里，充100送<n>，天天返水1.8%，大额无忧。
全网最高赔率，<game>一分钟一期，公平公正公开。
新会员开户即送体验金<n>元，无需充值直接提现。
老平台十年信誉，<game>24小时在线客服，随存随取。
今晚<game>内部资料，三肖中特，不中包赔。
注册就送<n>，下载APP再送<n>元红包，快来体验！
百万大奖等你来拿，<game>真钱游戏火爆进行中。
"""
SEX = """
<city>高端外围模特，空姐学生妹，随叫随到，全套服务。
同城约炮，附近寂寞少妇在线等你，免费注册即可聊天。
国产自拍 无码高清 在线观看 免费视频 成人电影
激情裸聊一对一，美女主播大尺度直播，不打码。
<city>上门按摩，24小时服务，包夜<n>0，安全保密。
人妻熟女丝袜诱惑，最新AV在线播放，手机看片。
品茶<city>，楼凤资源，真实可约，非诚勿扰。
深夜福利，萝莉巨乳啪啪视频，点击进入观看。
成人小说 情色漫画 三级片 伦理电影 每日更新
男人壮阳延时喷剂，金枪不倒，货到付款。
"""
PAPERS = """
专业办理各类证件、毕业证、学位证、驾驶证，学信网可查。
代办文凭学历，真实入网，先验证后付款，诚信为本。
代开增值税发票、餐饮住宿发票，税点低，可验真伪。
刻章办证，当天出证，防伪水印钢印齐全，一比一制作。
不用考试包过拿证，<paper>快速办理，全国联网可查。
办理<paper>，老客户介绍有优惠，保密安全，货到付款。
本科大专<paper>高仿真，学校档案齐全，满意再付款。
"""
LOANS = """
无抵押贷款，凭身份证当天放款，黑户也可以办理。
急用钱找我，秒批秒下款，不看征信，额度最高<n>万。
信用卡代还、提额、套现，花呗白条秒回款，费率低。
征信花了怎么办？无视网贷负债，包下款，先下款后收费。
低息贷款，手续简单，仅凭身份证，最快半小时到账。
专业洗白征信，逾期记录删除，成功后再付款。
"""
WORK = """
手机兼职，日赚<n>元，在家就能做，一单一结。
招聘淘宝刷单员，佣金日结，无需押金，宝妈学生都可以。
轻松赚钱，每天两小时，月入过万不是梦！
诚招代理，零投资零风险，躺赚被动收入，名额有限。
打字员兼职，每千字<n>元，时间自由，当天结算。
导师一对一带你赚钱，跟着操作稳赚，进群领取福利。
"""
STOCKS = """
免费诊股，老师带您抓涨停牛股，进群领取内部消息。
本周精选三只翻倍黑马，加群免费领取代码。
内部票明日拉升，跟单收益<n>%，错过再等一年。
专业团队操盘，稳赚不赔，保本高收益。
外汇跟单，日收益<n>%，出金快速到账，诚招代理。
"""
GOODS = """
高仿名表包包，一比一复刻，原厂皮，支持货到付款。
祖传秘方，包治<ill>，无效退款，三天见效。
减肥药一月瘦<n>斤，不反弹，无效全额退款，纯天然。
代孕包成功包男孩，正规机构，签合同，保密。
代写论文代发期刊，包通过，不过退款，专业写手。
迷药听话水催情药，无色无味，货到付款，安全保密。
手机定位监听卡，查开房记录通话记录，微信聊天记录恢复。
免税香烟批发，走私烟，支持验货，全国包邮。
丰胸增高祛斑，根治不复发，万人见证，限时优惠。
"""
SHOP = """
<city><trade>公司哪家好？<city><trade>公司电话，<city><trade>价格多少钱。
<city><trade>，专业<city><trade>公司，24小时上门<trade>，价格优惠。
想找<city><trade>就选我们，<city><trade>热线，<city><trade>收费标准。
<city>附近<trade>电话，<city>便宜的<trade>，<city>正规<trade>公司排名。
<city><trade>厂家直销，<trade>批发报价，<trade>十大品牌推荐。
我们是<city>最专业的<trade>公司，提供<trade>服务，<city><trade>一条龙。
"""
TRADES = "开锁 搬家 疏通下水道 空调维修 装修 注册公司 代理记账 防水补漏 保洁 二手车回收 发电机出租 叉车 钢管 印刷"
PAPER = "毕业证 驾驶证 资格证 学位证 房产证 建造师证 教师证 电工证"
ILL = "糖尿病 高血压 牛皮癣 前列腺炎 白癜风 鼻炎 痛风"


def _spam(sentences: str, fixed: bool = False) -> Maker:
    def make(rng: Random) -> str:
        words = {
            "game": GAMES,
            "city": rng.choice(CITIES) if fixed else " ".join(CITIES),
            "trade": rng.choice(TRADES.split()) if fixed else TRADES,
            "paper": PAPER,
            "ill": ILL,
        }
        text = _filled(rng, sentences, 3, 6, words)
        if rng.random() < 0.7:
            text += rng.choice(["", "\n", " "]) + contact(rng)
        return hidden(rng, text) if rng.random() < 0.3 else text

    return make


def hidden(rng: Random, text: str) -> str:
    """The text with its words hidden: wide letters, signs or spaces between hanzi, pictures, circled digits."""
    form = rng.randrange(5)
    if form == 0:
        return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)
    if form == 1:
        sign = rng.choice([" ", ".", "-", "*", "、", "|", "_", "丶"[:0] or "·"])
        return "".join(c + (sign if rng.random() < 0.35 else "") for c in text)
    if form == 2:
        return "".join(c + (rng.choice("💰🔥❤✅🎰👉") if rng.random() < 0.1 else "") for c in text)
    if form == 3:
        return text.translate(str.maketrans("123456789", "①②③④⑤⑥⑦⑧⑨"))
    return text.replace("微信", rng.choice(["薇信", "徽信", "微❤信", "V❤"])).replace("群", "裙").replace("QQ", "扣扣")


KINDS: dict[str, Maker] = {
    "bets": _spam(BETS),
    "sex": _spam(SEX),
    "papers": _spam(PAPERS),
    "loans": _spam(LOANS),
    "work": _spam(WORK),
    "stocks": _spam(STOCKS),
    "goods": _spam(GOODS),
    "shop": _spam(SHOP, fixed=True),
}

# --- what looks like spam and is none ---------------------------------------------------------------------------------

CASE = """
<city>警方近日通报，捣毁一个以<game>为名的网络赌博团伙，抓获犯罪嫌疑人<n>名，查扣涉案资金<n>万元。
据办案民警介绍，该平台以“注册送彩金”“稳赚不赔”为诱饵，拉人进群后由所谓导师带领投注。
被害人王某称，他先后充值<n>万元，起初小赢几次，随后再也无法提款。
法院经审理认为，被告人利用互联网开设赌场，情节严重，其行为已构成开设赌场罪。
检察机关提醒，凡是要求先交钱、再返利的刷单兼职，都是诈骗。
法院依法判处被告人有期徒刑三年，并处罚金人民币<n>万元。
嫌疑人通过微信群发布招嫖信息，组织卖淫，从中抽取提成，目前已被刑事拘留。
警方在出租屋内查获制作假证的设备、印章二百余枚以及大量伪造的毕业证、驾驶证。
办案人员表示，买卖国家机关证件同样是犯罪，购买者也要承担法律责任。
"""
LAW = """
以营利为目的，聚众赌博或者以赌博为业的，处三年以下有期徒刑、拘役或者管制，并处罚金。
制作、复制、出版、贩卖、传播淫秽物品牟利的，处三年以下有期徒刑。
伪造、变造、买卖居民身份证、护照、社会保障卡、驾驶证等证件的，处罚金。
彩票发行机构、彩票销售机构不得以赊销或者信用方式销售彩票，不得向未成年人销售彩票。
任何组织和个人不得开办赌博网站，不得为赌博活动提供支付结算、广告推广等帮助。
设立娱乐场所，应当向所在地县级人民政府文化主管部门提出申请；歌舞娱乐场所不得提供色情服务。
未经许可发放贷款的，由金融监督管理部门责令停止，没收违法所得。
"""
HEALTH = """
门诊咨询时间为周一至周五，市民可拨打12320卫生热线了解艾滋病检测点的位置。
安全套能够有效预防性传播疾病，正确使用的失败率低于百分之三。
减肥应当循序渐进，每周减重半公斤到一公斤较为合适，不要轻信快速减肥药。
性功能障碍多与心理压力、慢性病有关，应到正规医院就诊，不要购买来路不明的壮阳药。
沉迷赌博是一种行为成瘾，家属可以联系精神卫生中心，由医生评估后进行心理治疗。
青春期的孩子会对性产生好奇，父母要用平常的语气回答他们的问题。
糖尿病目前不能根治，凡宣称祖传秘方包治的都不可信，患者应按时服药并监测血糖。
"""
ARTICLE = """
百家乐是一种纸牌游戏，起源于意大利，十九世纪传入法国，玩法是比较庄家与闲家的点数。
双色球由中国福利彩票发行管理中心发行，每周开奖三次，头奖的概率约为一千七百万分之一。
老虎机因外形得名，早期的机器有三个转轮，拉动手柄后停在不同图案上。
德州扑克使用一副不含大小王的扑克牌，每位玩家发两张底牌，桌面上共发五张公共牌。
澳门的博彩业始于十九世纪，2002年开放经营权，如今占政府财政收入的大部分。
棋牌在民间流传很广，其中象棋和围棋已被列为体育项目。
网络借贷平台在过去十年中经历了从扩张到清退的过程，监管部门要求全部机构停业转型。
成人电影的分级制度各国不同，部分国家要求在片头注明年龄限制。
"""
SERVICE = """
我在<city>住了五年，换过三次锁，最后一次是半夜打电话请师傅上门，收了<n>0元。
学信网可以查询学籍和学历，登录后输入证书编号，系统会显示毕业院校和专业。
公司注册要先核名，再提交章程和住所证明，拿到营业执照后到银行开立账户。
房贷利率下调之后，首套房的月供每百万元大约少<n>元，可以到原贷款银行咨询。
这家店的红烧肉很好吃，价格也不贵，服务员态度热情，下次还会带朋友来。
装修时要多比较几家公司，报价太低的往往会在后期增项，合同里要写清楚材料品牌。
学校招聘兼职图书管理员，每周工作十小时，请把简历发到学院邮箱。
"""
ALIKE: dict[str, Callable[[Random], str]] = {
    name: (
        lambda rng, sentences=sentences: _filled(
            rng, sentences, 4, 7, {"game": GAMES, "city": " ".join(CITIES), "trade": TRADES}
        )
    )
    for name, sentences in (
        ("case", CASE),
        ("law", LAW),
        ("health", HEALTH),
        ("article", ARTICLE),
        ("service", SERVICE),
    )
}

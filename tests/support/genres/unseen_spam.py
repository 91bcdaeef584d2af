"""Spam in other tones than that of spam.py: written after the step was tuned, to see what it finds unseen.

When it was first tried, .93 of it was dropped (docs/data.md). Since then the words of spam_words.py were widened by some of
what was missed. So for the next figure that is worth something, write other sentences.
"""

# ruff: noqa: E501 (sentences stand in one piece)
from __future__ import annotations

from collections.abc import Callable
from random import Random

from support.genres.kept import Maker
from support.genres.spam import account, mobile


def contact(rng: Random) -> str:
    return rng.choice(
        [
            f"威信 {account(rng)}",
            f"vx：{account(rng)}",
            f"➕V {account(rng)}",
            f"Q群：{rng.randint(10**8, 10**9)}",
            f"打 {mobile(rng)}",
            f"http://www.{account(rng)}.com/reg",
            f"请百度搜索“{account(rng)}”",
            f"TG @{account(rng)}",
            f"手机/微信 {mobile(rng)} 王经理",
            "",
        ]
    )


def city(rng: Random) -> str:
    return rng.choice(["济南", "石家庄", "合肥", "南昌", "福州", "贵阳", "昆明", "太原", "厦门", "宁波"])


def number(rng: Random) -> int:
    return rng.choice([6, 16, 36, 50, 99, 128, 300, 500, 666, 1000, 5000])


SENTENCES: dict[str, list[Callable[[Random], str]]] = {
    "bets": [
        lambda r: (
            f"{account(r)}国际娱乐城创立于2009年，拥有菲律宾政府颁发的合法执照，为亚洲玩家提供真人百家乐、老虎机、体育赛事及彩票游戏。即日起新玩家开户可获{number(r)}元奖励，存取款三分钟完成，资金安全有保障。客服全天候为您服务。{contact(r)}"
        ),
        lambda r: (
            f"腾讯分分彩怎么玩才能赢？奇趣腾讯、河内五分彩大神计划，长期稳定，团队每天晚上八点开车，跟上节奏月入{number(r)}0不是问题。{contact(r)}"
        ),
        lambda r: (
            f"最新线上棋牌游戏大全，斗地主、二八杠、抢庄牛牛、三公，真人对战，提现秒到，下载就送{number(r)}金币，推荐好友再得佣金。{contact(r)}"
        ),
        lambda r: (
            f"世界杯竞猜投注平台哪个好？皇冠体育足球开户，水位高，信用盘现金盘均可，代理返佣{r.randint(1, 60)}%。{contact(r)}"
        ),
        lambda r: (
            f"玩彩票亏了的老铁别灰心，我也曾亏掉几十万，后来遇到一位高人教我看走势图，现在已经上岸。不收费，只交朋友。{contact(r)}"
        ),
    ],
    "sex": [
        lambda r: (
            f"{city(r)}夜场招聘模特佳丽，日结{number(r)}0起，无任务无押金，包住宿；另有{city(r)}商务伴游、私人派对可预约。{contact(r)}"
        ),
        lambda r: "最新国产精品久久 亚洲av无码专区 中文字幕人妻 强奸乱伦 制服丝袜 在线影院 免费大全",
        lambda r: (
            f"{city(r)}兼职女大学生包夜价格表：快餐{number(r)}，两小时{number(r)}，包夜{number(r)}0，均为本人照片，见面付钱。{contact(r)}"
        ),
        lambda r: f"深夜睡不着？来这里找小姐姐视频聊天，她们正在等你，性感主播在线激情互动，注册免费看。{contact(r)}",
        lambda r: f"想找刺激的哥哥进来，本人26岁，身材好，会玩，不做长期，只求一夜。{contact(r)}",
    ],
    "papers": [
        lambda r: (
            f"本工作室承接全国各大院校毕业证书、学位证书、成绩单制作，采用原厂纸张、防伪水印，到手满意再付尾款。{contact(r)}"
        ),
        lambda r: f"没有学历找工作难？我们帮您！自考本科一年拿证，学信网终身可查，全程托管，考不过全额退。{contact(r)}",
        lambda r: (
            f"公司长期代开各地增值税专用发票、普通发票、建筑材料发票，开票资料齐全，税局官网可查，先验后付，合作共赢。{contact(r)}"
        ),
        lambda r: (
            f"{city(r)}专业刻章办证，办理身份证、户口本、房产证、营业执照、健康证，立等可取，质量保证。{contact(r)}"
        ),
    ],
    "money": [
        lambda r: (
            f"还在为钱发愁吗？本公司面向{city(r)}地区提供个人信用贷款，额度1万到{number(r)}万，手续简便，无需担保，征信不好也能做，当天即可拿到钱。{contact(r)}"
        ),
        lambda r: (
            f"诚招抖音点赞员、小红书评论员，操作简单，用手机就可以完成，每单佣金5到{number(r)}元，做完立刻结算。{contact(r)}"
        ),
        lambda r: (
            f"信用卡逾期不要怕，专业团队帮您协商停息挂账，可分{number(r)}期，另有提额、养卡、代还业务。{contact(r)}"
        ),
        lambda r: (
            f"本周重点关注一只低位题材股，主力已经建仓完毕，预计涨幅{number(r)}%以上，添加助理领取股票代码，名额仅剩{r.randint(3, 30)}个。{contact(r)}"
        ),
        lambda r: f"数字货币合约跟单，每天稳定盈利，老师喊单准确率九成，新手小白也能月赚{number(r)}0。{contact(r)}",
    ],
    "goods": [
        lambda r: (
            f"顶级奢侈品复刻工厂直销，LV、香奈儿、古驰包包，质量对版专柜，支持退换，诚招代理，{number(r)}元起。{contact(r)}"
        ),
        lambda r: (
            f"糖尿病人的福音！某老专家研制的纯中药胶囊，服用一个疗程血糖恢复正常，彻底摆脱胰岛素，现在订购买三送一。{contact(r)}"
        ),
        lambda r: f"正宗催情水、听话喷雾、昏睡粉，进口配方，效果好见效快，全国顺丰包邮，隐私包装。{contact(r)}",
        lambda r: (
            f"私人侦探事务所：婚外情取证、定位追踪、调取通话清单、查酒店入住记录，保密操作，事成付款。{contact(r)}"
        ),
        lambda r: (
            f"{city(r)}专业代孕机构，零风险包成功，可选性别，全程签约，先成功后付尾款，{number(r)}位妈妈已圆梦。{contact(r)}"
        ),
        lambda r: f"职称论文、毕业论文代写代发，知网普刊、北大核心，三天出稿，一个月见刊，包修改包通过。{contact(r)}",
    ],
}


def _shop(rng: Random) -> str:
    trade, place = (
        rng.choice(["工商注册", "电梯回收", "除甲醛", "防盗门维修", "婚庆策划", "货架定制", "水质检测", "暖气安装"]),
        city(rng),
    )
    both = place + trade
    return rng.choice(
        [
            f"{both}|{both}公司|{both}哪家专业|{both}多少钱|{both}联系电话。{account(rng)}专注{both}十余年，{both}价格低，{both}服务好，{both}口碑好，如果您需要{both}，请拨打我们的热线电话。{contact(rng)}",
            f"{place}哪里有{trade}？{both}找哪家公司好？{both}推荐，{both}排行榜，{both}厂家，{both}报价单，{both}上门，{both}师傅电话，{place}周边{trade}。{contact(rng)}",
        ]
    )


def _some(kind: str) -> Maker:
    return lambda rng: "\n".join(make(rng) for make in rng.sample(SENTENCES[kind], rng.choice([1, 1, 2, 3])))


KINDS: dict[str, Maker] = {**{kind: _some(kind) for kind in SENTENCES}, "shop": _shop}
